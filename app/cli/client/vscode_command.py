"""`vibebox vscode`: address and password of an environment's VS Code server."""

from typing import TYPE_CHECKING, Any

import click

from app.cli.client import lookup, output
from app.cli.client.options import as_json, connected

if TYPE_CHECKING:
    from app.cli.client.api import Api

_KIND = "vscode_server"


@click.command()
@lookup.environment
@as_json
@connected
def vscode(api: "Api", environment: str, as_json: bool) -> None:
    """Show where the VS Code server is, and its password.

    One that is not there yet is started.
    """
    found = lookup.find(api, environment)
    session = _living(api, found) or _started(api, found)
    connection = api.get(f"/sessions/{session['id']}/connection")
    if as_json:
        output.document(connection)
        return
    output.pairs({"Address": connection["connection_url"], "Password": connection["password"]})


def _living(api: "Api", environment: dict[str, Any]) -> dict[str, Any] | None:
    listed = api.all(_sessions(environment))["items"]
    usable = [one for one in listed if one["type"] == _KIND and one["status"] in ("active", "idle")]
    return usable[0] if usable else None


def _started(api: "Api", environment: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = api.post(_sessions(environment), {"type": _KIND})
    return made


def _sessions(environment: dict[str, Any]) -> str:
    from app.cli.client.api import one

    return f"{one(environment['id'])}/sessions"
