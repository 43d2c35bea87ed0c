"""What ends a command of the client early: sentences that name the next step, and an exit code."""

import shlex
from typing import IO, Any

import click

from app.cli.screen import lines

REFUSED = 1
NOT_REACHED = 2
INTERRUPTED = 130

_LOGIN = "Log in with `vibebox login`; programs set VIBEBOX_TOKEN to an API key instead."
_AGAIN = "Try again in a few seconds; `vibebox ls` shows how things are now."
_LIST = "`vibebox ls` lists the environments."
NEXT_STEPS = {
    "not-authenticated": _LOGIN,
    "invalid-token": _LOGIN,
    "invalid-credentials": "Try again, or make an account with `vibebox login --register`.",
    "email-taken": "Run `vibebox login` without --register.",
    "permission-denied": "`vibebox whoami` shows as whom you asked.",
    "project-not-found": "`vibebox projects ls` lists the projects.",
    "team-not-found": "`vibebox teams ls` lists the teams.",
    "api-key-not-found": "`vibebox token ls` lists your API keys.",
    "api-key-name-taken": "`vibebox token ls` lists your API keys.",
    "alert-not-found": "`vibebox alerts ls --ended` lists the alerts.",
    "silence-exists": "`vibebox alerts expire ID` ends one.",
    "store-not-set": "`vibebox doctor`, where the service runs, tells what else is not set.",
    "store-unavailable": "`vibebox doctor`, where the service runs, looks along the chain.",
    "silence-not-found": "`vibebox alerts silences` lists the silences.",
    "template-not-found": "`vibebox templates` lists the templates.",
    "environment-not-found": _LIST,
    "environment-name-taken": _LIST,
    "extension-not-found": "`vibebox ext ls NAME` lists the extensions.",
    "extension-conflict": "`vibebox ext ls NAME` lists the extensions and their states.",
    "environment-conflict": "`vibebox stop`, `start` and `unpause` change its status.",
    "engine-conflict": "`vibebox show NAME` tells its status.",
    "port-reserved": "Leave the host port out (`--port 8000`), and a free one is taken.",
    "port-taken": "Leave the host port out (`--port 8000`), and a free one is taken.",
    "image-missing": "`vibebox start NAME --pull missing` pulls it.",
    "session-not-found": "`vibebox attach NAME` starts a new one.",
    "session-conflict": "`vibebox attach NAME` starts a new one.",
    "executable-missing": "`vibebox attach NAME --type shell` needs the least of an image.",
    "too-many-sockets": "Close a terminal or a page of the console, or try again in a few seconds.",
    "engine-timeout": _AGAIN,
    "engine-unreachable": "Ask the operator whether Docker Engine runs; then try again.",
    "storage-unavailable": _AGAIN,
    "not-found": "The service may be older than this command: GET /health tells its version.",
}
"""What to do about a problem of the service, by the last part of its type; `detail` says more."""


# Fields of the API, and the parameters of commands that are called otherwise.
_PARAMETERS = {
    "cpu_limit": "cpus",
    "memory_limit_mb": "memory",
    "expires_at": "expires",
    "project_id": "project",
    "team_id": "team",
}


def typed(field: str) -> str:
    """Return what somebody types for a field of the API, in the command that is being carried out:
    an option or an argument; the field itself where there is none."""
    context = click.get_current_context(silent=True)
    head, _, rest = field.partition(".")
    wanted = _PARAMETERS.get(head, head)
    for parameter in context.command.params if context else ():
        if wanted not in (parameter.name, *(name.strip("-") for name in parameter.opts)):
            continue
        if isinstance(parameter, click.Argument):
            return parameter.human_readable_name
        # The name of a variable leads to it; the number of a port does not.
        named = f" {rest}" if rest and not rest.partition(".")[0].isdigit() else ""
        return f"{max(parameter.opts, key=len)}{named}"
    return field


class ClientError(click.ClickException):
    """Ends the command; `step` is what to do next."""

    exit_code = NOT_REACHED

    def __init__(self, message: str, step: str = "") -> None:
        super().__init__(message)
        self.step = step

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the error, and the next step on a line of its own."""
        click.echo(lines(f"Error: {self.message}"), file=file, err=file is None)
        if self.step:
            click.echo(f"  {self.step}", file=file, err=file is None)


class UnreachableError(ClientError):
    """No VibeBox answered at the address, or not in time."""


class AwayError(UnreachableError):
    """The service is away for the moment: it refuses, restarts, or is overloaded."""


class RefusedError(ClientError):
    """The service, or what is known of it here, does not allow the command."""

    exit_code = REFUSED


class ProblemError(RefusedError):
    """The service answered with a problem (RFC 9457)."""

    def __init__(self, problem: dict[str, Any], status: int) -> None:
        self.status = status
        self.slug = str(problem.get("type", "")).rpartition(":")[2]
        title = problem.get("title") or f"The service answered {status}"
        lines = [f"{title}. {problem.get('detail') or ''}".rstrip()]
        if wrong := problem.get("errors"):
            # The detail names the fields again, as the API calls them.
            lines = [f"{typed(str(item.get('field')))}: {item.get('message')}" for item in wrong]
        if status >= 500 and problem.get("request_id"):
            lines.append(f"  In the operator's log this is request {problem['request_id']}.")
        super().__init__("\n".join(lines), _next_step(self.slug, problem))

    @property
    def passing(self) -> bool:
        """Whether the same request may well succeed in a moment."""
        return self.status in (429, 502, 503, 504)


def _next_step(slug: str, problem: dict[str, Any]) -> str:
    if slug != "quota-exceeded":
        return NEXT_STEPS.get(slug, "")
    quota = problem.get("quota") or {}
    if quota.get("of") == "host":
        return "`vibebox quota --json` shows under `host` what all have together."
    if quota.get("of") == "maker":
        return "Whoever made the team sees with `vibebox quota` what is in use."
    team = f" --team {shlex.quote(str(quota['team']))}" if quota.get("team") else ""
    return f"`vibebox quota{team}` shows what is in use."
