"""`vibebox start`, `stop`, `restart`, `pause`, `unpause`, `stats`: environments as containers."""

from typing import TYPE_CHECKING, Any

import click

from app.cli.client import lookup, output, service
from app.cli.client.errors import RefusedError
from app.cli.client.options import as_json, connected

if TYPE_CHECKING:
    from app.cli.client.api import Api

PULLS = ("missing", "always", "never")
_DONE = {"start": "running", "stop": "stopped", "pause": "paused", "unpause": "running"}


@click.command()
@lookup.environment
@click.option("--pull", type=click.Choice(PULLS), help="Instead of the environment's own.")
@as_json
@connected
def start(api: "Api", environment: str, pull: str | None, as_json: bool) -> None:
    """Start an environment, and wait until it runs.

    Where its image is pulled first, its progress is shown. Ctrl-C ends the waiting, not the start.
    """
    found = lookup.find(api, environment)
    if found["status"] == _DONE["start"]:
        report(found, as_json, f"{found['name']} is running already.")
    else:
        report(started(api, found, pull), as_json)


def started(api: "Api", environment: dict[str, Any], pull: str | None) -> dict[str, Any]:
    """Start an environment and return it when that is over.

    Raises: RefusedError where it does not run then, and what the API raises.
    """
    from app.cli.client.api import one
    from app.cli.client.progress import watched

    path = one(environment["id"])
    after: dict[str, Any] = api.post(f"{path}/start", {"pull": pull} if pull else None)
    if after["status"] == "starting":
        service.note_missing_agent(api)
        after = watched(api, after)
    name, status = after["name"], after["status"]
    if status == "error":
        raise RefusedError(
            f"The start of {name} failed. {output.plain(after['error'])}".rstrip(),
            f"`vibebox logs {name}` shows what it wrote."
            if after["exited_at"] != environment["exited_at"]
            else f"`vibebox edit {name}` changes it, `vibebox start {name}` tries again.",
        )
    if status != "running":
        reason = after["exit_reason"]
        ended = f" Its last run ended: {reason}, code {after['exit_code']}." if reason else ""
        raise RefusedError(
            f"{name} is {status}, not running.{ended}",
            f"`vibebox logs {name}` shows what it wrote.",
        )
    return after


def report(environment: dict[str, Any], as_json: bool, sentence: str | None = None) -> None:
    """Print what became of an environment."""
    if as_json:
        output.document(environment)
        return
    published = output.ports(environment) if environment["status"] == "running" else []
    at = f" (ports {', '.join(published)})" if published else ""
    output.note(sentence or f"{environment['name']} is {environment['status']}{at}.")


def _act(api: "Api", wanted: str, action: str, as_json: bool) -> None:
    from app.cli.client.api import one

    found = lookup.find(api, wanted)
    if found["status"] == _DONE.get(action):
        report(found, as_json, f"{found['name']} is {found['status']} already.")
        return
    report(api.post(f"{one(found['id'])}/{action}"), as_json)


@click.command()
@lookup.environment
@as_json
@connected
def stop(api: "Api", environment: str, as_json: bool) -> None:
    """Stop an environment; its container and its files stay."""
    _act(api, environment, "stop", as_json)


@click.command()
@lookup.environment
@as_json
@connected
def restart(api: "Api", environment: str, as_json: bool) -> None:
    """Stop an environment and start it again."""
    _act(api, environment, "restart", as_json)


@click.command()
@lookup.environment
@as_json
@connected
def pause(api: "Api", environment: str, as_json: bool) -> None:
    """Freeze what runs in an environment."""
    _act(api, environment, "pause", as_json)


@click.command()
@lookup.environment
@as_json
@connected
def unpause(api: "Api", environment: str, as_json: bool) -> None:
    """Let a paused environment go on."""
    _act(api, environment, "unpause", as_json)


@click.command()
@lookup.environment
@as_json
@connected
def stats(api: "Api", environment: str, as_json: bool) -> None:
    """Show what a running environment uses; takes about a second."""
    from app.cli.client.api import one

    found = lookup.find(api, environment)
    used = api.get(f"{one(found['id'])}/stats")
    if as_json:
        output.document(used)
        return
    memory, limit = output.size(used["memory_bytes"]), output.size(used["memory_limit_bytes"])
    received, sent = output.size(used["network_rx_bytes"]), output.size(used["network_tx_bytes"])
    read, written = output.size(used["block_read_bytes"]), output.size(used["block_write_bytes"])
    output.pairs(
        {
            "CPU": f"{used['cpu_percent']:.1f} % of one core",
            "Memory": f"{memory} of {limit} ({used['memory_percent']:.1f} %)",
            "Network": f"{received} received, {sent} sent",
            "Disk": f"{read} read, {written} written",
            "Processes": used["pids"],
        }
    )
