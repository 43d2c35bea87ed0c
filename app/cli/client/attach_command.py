"""`vibebox attach`: a terminal in an environment."""

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from app.cli.client import lookup, output
from app.cli.client.errors import RefusedError
from app.cli.client.options import connected

if TYPE_CHECKING:
    from app.cli.client.api import Api

KINDS = ("shell", "tmux")


class _Key(click.ParamType[bytes]):
    """A key together with Ctrl, as the byte that it sends."""

    name = "ctrl-KEY"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> bytes:
        if isinstance(value, bytes):
            return value
        prefix, dash, key = str(value).lower().partition("-")
        if prefix != "ctrl" or not dash or len(key) != 1 or not "@" <= key.upper() <= "_":
            self.fail("name it as ctrl-a to ctrl-z, ctrl-] or ctrl-\\.", param, ctx)
        return bytes([ord(key.upper()) & 0x1F])


@click.command()
@lookup.environment
@click.option("--session", metavar="ID", help="A session that there is, or the beginning of it.")
@click.option(
    "--type",
    "kind",
    type=click.Choice(KINDS),
    help="A new shell (the default), which ends with its terminal; or tmux, the last that lives or "
    "else a new one, which stays when you leave.",
)
@click.option(
    "--detach-key", type=_Key(), default="ctrl-]", show_default=True, help="Leaves the terminal."
)
@connected
def attach(
    api: "Api", environment: str, session: str | None, kind: str | None, detach_key: bytes
) -> None:
    """Open a terminal in a running environment.

    Ends with the exit code of the shell. A tmux session is come back to where the connection is
    lost, or the service restarts; a shell ends then.
    """
    if not os.isatty(sys.stdin.fileno()) or not os.isatty(sys.stdout.fileno()):
        raise RefusedError(
            "A terminal is needed, and standard input or output is none.",
            "Run it in a terminal, without a pipe; `ssh -t` gives one on another machine.",
        )
    if session is not None and kind is not None:
        raise click.UsageError("Name a session or a type, not both.")
    found = lookup.find(api, environment)
    chosen = _named(api, found, session) if session else _of_kind(api, found, kind or KINDS[0])
    sys.exit(_attached(api, chosen, detach_key))


def _attached(api: "Api", session: dict[str, Any], detach_key: bytes) -> int:
    """Use the terminal of a session to its end, and return the exit code."""
    from app.cli.client.raw_terminal import RawTerminal
    from app.cli.client.reattaching import Reattaching

    terminal = RawTerminal(sys.stdin.fileno(), sys.stdout.fileno())
    ended = Reattaching(api, session, terminal, detach_key).run()
    if ended is None:
        with suppress(OSError):  # nobody reads it where the window was closed
            output.note(f"\n{_goodbye(session)}")
        return 0
    click.echo()
    code, reason = ended
    if reason:
        output.note(f"{reason[:1].upper()}{reason[1:]}.")
    return code


def _goodbye(session: dict[str, Any]) -> str:
    if session["type"] == "tmux":
        return "Left; `vibebox attach NAME --type tmux` leads back."
    return "Left; the shell ends with its terminal."


def _of_kind(api: "Api", environment: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the tmux that lives, or a new session."""
    if kind == "tmux":
        for session in _living(api, environment):
            if session["type"] == kind:
                return session
    made: dict[str, Any] = api.post(_sessions(environment), {"type": kind})
    return made


def _named(api: "Api", environment: dict[str, Any], wanted: str) -> dict[str, Any]:
    """Return the session of that id, or of that beginning. Raises: RefusedError."""
    found = [one for one in _living(api, environment) if one["id"].startswith(wanted)]
    if len(found) == 1:
        return found[0]
    living = [f"  {one['id']}  {one['type']}, {one['status']}" for one in _living(api, environment)]
    lines = [f"There is no session {wanted!r} in {environment['name']}."]
    lines += ["These live:", *living] if living else ["None lives at present."]
    name = environment["name"]
    raise RefusedError("\n".join(lines), f"`vibebox attach {name}` starts a new one.")


def _living(api: "Api", environment: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the sessions that have not ended, newest first."""
    sessions = api.all(_sessions(environment))["items"]
    return [one for one in sessions if one["status"] != "terminated"]


def _sessions(environment: dict[str, Any]) -> str:
    from app.cli.client.api import one

    return f"{one(environment['id'])}/sessions"
