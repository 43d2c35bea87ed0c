"""`vibebox create`, `ls`, `show`, `rm`: environments as records."""

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from app.cli.client import lookup, output, service
from app.cli.client.options import as_json, connected
from app.cli.client.param_types import Duration, Memory, Port, Variable, ahead
from app.cli.client.running_commands import PULLS, report, started

if TYPE_CHECKING:
    from app.cli.client.api import Api

STATUSES = ("stopped", "starting", "running", "stopping", "paused", "error")


_MAY = {
    "environment.change": "change",
    "environment.delete": "delete",
    "environment.operate": "start and stop",
    "session.use": "use terminals",
    "extension.change": "install extensions",
}
"""What one may do with an environment, by the API's names; to see it is no news here."""


@click.command()
@click.argument("name")
@click.option("--image", help="Docker image.")
@click.option("--template", help="Template that fills what is left out; see `vibebox templates`.")
@click.option("--cpus", type=float, help="CPUs.")
@click.option("--memory", type=Memory(), help="Memory in MiB, or as 512m or 2g.")
@click.option(
    "--port",
    "ports",
    type=Port(),
    multiple=True,
    metavar="[HOST:]CONTAINER[/udp]",
    help="Port to publish; without HOST a free one is taken at each start.",
)
@click.option(
    "--env", type=Variable(), multiple=True, metavar="NAME=VALUE", help="Environment variable."
)
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="NAME",
    help="Secret environment variable; its value is asked for, or read from standard input.",
)
@click.option("--pull", type=click.Choice(PULLS), help="When a start pulls the image.")
@click.option("--project", help="Project, by name or id; default: your personal one.")
@click.option("--expires", type=Duration(), help="Delete it, with its volume, after 8h or 7d.")
@click.option("--start", is_flag=True, help="Start it as well.")
@as_json
@connected
def create(api: "Api", start: bool, as_json: bool, **options: Any) -> None:
    """Create the environment NAME."""
    if not options["image"] and not options["template"]:
        raise click.UsageError(
            "Name an --image or a --template; `vibebox templates` lists the templates."
        )
    environment = api.post("/environments", _body(api, **options))
    if start:
        if not as_json:
            output.note(f"{environment['name']} is created.")
        environment = started(api, environment, pull=None)
    report(environment, as_json, None if start else f"{environment['name']} is created.")


def _body(
    api: "Api",
    *,
    env: tuple[tuple[str, str], ...],
    secrets: tuple[str, ...],
    ports: tuple[dict[str, Any], ...],
    project: str | None,
    expires: timedelta | None,
    cpus: float | None,
    memory: int | None,
    **named: Any,
) -> dict[str, Any]:
    """Return what the API creates an environment from; what is left out is the template's."""
    body = {
        **named,
        "cpu_limit": cpus,
        "memory_limit_mb": memory,
        "ports": list(ports),
        "env": dict(env),
        "project_id": lookup.project_id(api, project) if project else None,
        "expires_at": ahead(expires) if expires is not None else None,
        "secrets": secret_values(secrets),
    }
    return {name: value for name, value in body.items() if value not in (None, [], {})}


def secret_values(names: tuple[str, ...]) -> dict[str, str]:
    """Ask for the value of each; without a terminal one secret is all of the input, several a line.

    Raises: UsageError where there are too few lines.
    """
    if sys.stdin.isatty():
        return {name: click.prompt(f"Value of {name}", hide_input=True) for name in names}
    if len(names) == 1:
        return {names[0]: sys.stdin.read().removesuffix("\n")}
    values = [sys.stdin.readline() for _ in names]
    if "" in values:
        raise click.UsageError(
            f"Standard input has to hold {len(names)} lines, one for each --secret."
        )
    return {name: value.rstrip("\r\n") for name, value in zip(names, values, strict=True)}


@click.command()
@click.option("--project", help="Only those of a project, by name or id.")
@click.option("--status", type=click.Choice(STATUSES), help="Only those with a status.")
@as_json
@connected
def ls(api: "Api", project: str | None, status: str | None, as_json: bool) -> None:
    """List the environments that you see, newest first."""
    project_id = lookup.project_id(api, project) if project else None
    listed = api.all("/environments", project_id=project_id, status=status)
    if as_json:
        output.document(listed)
        return
    projects = lookup.project_names(api)
    rows = [
        (
            item["name"],
            item["status"],
            item["image"],
            ", ".join(output.ports(item)),
            projects.get(item["project_id"], item["project_id"][:8]),
            output.age(item["created_at"]),
            output.age(item["expires_at"]) or "never",
            item["id"][:8],
        )
        for item in listed["items"]
    ]
    output.table(("NAME", "STATUS", "IMAGE", "PORTS", "PROJECT", "AGE", "EXPIRES", "ID"), rows)
    if not rows and not project and not status:
        output.note("There is none yet; `vibebox create NAME --template python` makes one.")
    service.note_missing_agent(api)


@click.command()
@lookup.environment
@as_json
@connected
def show(api: "Api", environment: str, as_json: bool) -> None:
    """Show all of an environment."""
    found = lookup.find(api, environment)
    if as_json:
        output.document(found)
        return
    exited = found["exit_reason"] and f"{found['exit_reason']}, code {found['exit_code']}"
    progress = found["pull_progress"]
    output.pairs(
        {
            "Name": found["name"],
            "Status": found["status"],
            "Error": found["error"],
            "Pulled": progress and f"{progress['percent']:.0f} %",
            "Image": found["image"],
            "Pull": found["pull"],
            "CPUs": f"{found['cpu_limit']:g}",
            "Memory": f"{found['memory_limit_mb']} MiB",
            "Ports": output.ports(found),
            "Volume": found["volume_path"],
            "Variables": [f"{name}={value}" for name, value in sorted(found["env"].items())],
            "Secrets": ", ".join(found["secret_names"]),
            "Last exit": exited,
            "Exited at": found["exited_at"],
            "Expires at": found["expires_at"],
            "Created at": found["created_at"],
            "Yours to": ", ".join(_MAY[may] for may in found.get("may", ()) if may in _MAY),
            "Project": found["project_id"],
            "Id": found["id"],
        }
    )
    service.note_missing_agent(api)


@click.command()
@lookup.environment
@click.option("--yes", is_flag=True, help="Do not ask.")
@connected
def rm(api: "Api", environment: str, yes: bool) -> None:
    """Delete an environment with its container and its volume."""
    from app.cli.client.api import one

    found = lookup.find(api, environment)
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("There is no terminal to ask whether you are sure; add --yes.")
        click.confirm(f"Delete {found['name']} and all that is in its volume?", abort=True)
    api.delete(one(found["id"]))
    output.note(f"{found['name']} is deleted.")
