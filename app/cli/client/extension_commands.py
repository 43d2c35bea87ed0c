"""`vibebox ext install`, `ls`, `rm`: extensions of VS Code in an environment."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli.client import lookup, output
from app.cli.client.errors import RefusedError
from app.cli.client.options import as_json, connected, open_api, url_of

if TYPE_CHECKING:
    from app.cli.client.api import Api

_WAIT_SECONDS = 600.0
_POLL_SECONDS = 0.5
_PACKAGE = ".vsix"
_UNDER_WAY = ("pending", "installing", "uninstalling")


def _completed(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the environment's extensions that begin so; none where anything at all goes wrong."""
    try:
        with open_api(url_of(context), lookup.COMPLETION_SECONDS, hasty=True) as api:
            environment = lookup.find(api, str(context.params["environment"]))
            names = {item["name"] for item in api.all(_of(environment))["items"]}
    except Exception:
        # It would be printed over what somebody is typing.
        return []
    return sorted(name for name in names if name.startswith(incomplete.lower()))


@click.group()
def ext() -> None:
    """Install, list and remove extensions of VS Code."""


@ext.command()
@lookup.environment
@click.argument("extension", metavar="PUBLISHER.NAME[@VERSION]|FILE.vsix")
@click.option("--no-wait", is_flag=True, help="Do not wait until it is installed.")
@as_json
@connected
def install(api: "Api", environment: str, extension: str, no_wait: bool, as_json: bool) -> None:
    """Install an extension: of the gallery, or from a file; every new container gets it too."""
    found = lookup.find(api, environment)
    path = _of(found)
    if extension.lower().endswith(_PACKAGE):
        made = api.post(f"{path}/upload", _content(extension))
    else:
        made = api.post(path, {"id": extension})
    waits = found["status"] != "running"
    if not no_wait and not waits:
        made = _ended(api, f"{path}/{made['id']}", made)
    if as_json:
        output.document(made)
    elif made["state"] != "failed":
        later = " when the environment runs" if waits else ""
        output.note(f"{made['name']} is {made['state']}{later}.")
    if made["state"] == "failed":
        raise RefusedError(
            f"{made['name']} was not installed. {_shown(made)}",
            f"`vibebox ext install {found['name']} {extension}` tries again.",
        )


@ext.command("ls")
@lookup.environment
@as_json
@connected
def list_extensions(api: "Api", environment: str, as_json: bool) -> None:
    """List the extensions that an environment is to have."""
    found = lookup.find(api, environment)
    listed = api.all(_of(found))
    if as_json:
        output.document(listed)
        return
    rows = [
        (
            item["name"],
            item["version"] or "newest",
            item["state"],
            "file" if item["uploaded"] else "gallery",
            "" if item["exit_code"] is None else item["exit_code"],
            output.age(item["changed_at"]),
        )
        for item in listed["items"]
    ]
    output.table(("NAME", "VERSION", "STATE", "FROM", "CODE", "AGE"), rows)
    if not rows:
        output.note(f"There is none; `vibebox ext install {found['name']} ID` installs one.")


@ext.command("rm")
@lookup.environment
@click.argument("extension", metavar="PUBLISHER.NAME", shell_complete=_completed)
@as_json
@connected
def remove(api: "Api", environment: str, extension: str, as_json: bool) -> None:
    """Remove an extension from an environment."""
    found = lookup.find(api, environment)
    path = _of(found)
    wanted = extension.lower()
    known = [item for item in api.all(path)["items"] if wanted in (item["name"], item["id"])]
    if not known:
        raise RefusedError(
            f"{found['name']} has no extension {extension!r}.",
            f"`vibebox ext ls {found['name']}` lists its extensions.",
        )
    removed = api.delete(f"{path}/{known[0]['id']}")
    if as_json:
        output.document(removed)
    else:
        output.note(f"{removed['name']} is {removed['state']}.")


def _of(environment: dict[str, Any]) -> str:
    from app.cli.client.api import one

    return f"{one(environment['id'])}/extensions"


def _content(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise click.UsageError(f"{file} cannot be read: {error.strerror}.") from error


def _ended(api: "Api", path: str, extension: dict[str, Any]) -> dict[str, Any]:
    """Return the extension once it is installed or failed. Raises: RefusedError, as `Api.get`."""
    ends_at = time.monotonic() + _WAIT_SECONDS
    while extension["state"] in _UNDER_WAY:
        if time.monotonic() > ends_at:
            raise RefusedError(
                f"{extension['name']} is still {extension['state']}.",
                "Ask the operator whether the agent is at work (`vibebox agent --check`).",
            )
        time.sleep(_POLL_SECONDS)
        extension = api.get(path)
    return extension


def _shown(extension: dict[str, Any]) -> str:
    code = extension["exit_code"]
    lines = (extension["output"] or "").strip().splitlines()
    told = "\n".join(f"  {output.plain(line)}" for line in lines[-10:])
    return (f"Exit code {code}:" if code is not None else "") + (f"\n{told}" if told else "")
