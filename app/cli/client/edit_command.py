"""`vibebox edit`: changing an environment."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from app.cli.client import lookup
from app.cli.client.environment_commands import secret_values
from app.cli.client.options import as_json, connected
from app.cli.client.param_types import Duration, Memory, Port, Variable, ahead
from app.cli.client.running_commands import PULLS, report

if TYPE_CHECKING:
    from app.cli.client.api import Api

_PAIRS = (("ports", "no_ports"), ("expires", "no_expiry"), ("volume", "no_volume"))


@click.command()
@lookup.environment
@click.option("--name", "new_name", help="Another name.")
@click.option("--image", help="Docker image.")
@click.option("--cpus", type=float, help="CPUs; at once, also while it runs.")
@click.option(
    "--memory", type=Memory(), help="Memory in MiB, or as 512m or 2g; at once, also while it runs."
)
@click.option(
    "--port",
    "ports",
    type=Port(),
    multiple=True,
    metavar="[HOST:]CONTAINER[/udp]",
    help="Port to publish, in place of those there are; may be given several times.",
)
@click.option("--no-ports", is_flag=True, help="Publish no ports.")
@click.option(
    "--env",
    type=Variable(),
    multiple=True,
    metavar="NAME=VALUE",
    help="Set an environment variable; the others stay.",
)
@click.option(
    "--unset", multiple=True, metavar="NAME", help="Remove an environment variable or a secret."
)
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="NAME",
    help="Set a secret; its value is asked for, or read from standard input.",
)
@click.option("--pull", type=click.Choice(PULLS), help="When a start pulls the image.")
@click.option("--volume", metavar="PATH", help="Where its volume is mounted.")
@click.option("--no-volume", is_flag=True, help="Mount none; what is in it stays.")
@click.option("--expires", type=Duration(), help="Delete it, with its volume, after 8h or 7d.")
@click.option("--no-expiry", is_flag=True, help="Keep it until somebody deletes it.")
@as_json
@connected
def edit(api: "Api", environment: str, as_json: bool, **options: Any) -> None:
    """Change an environment.

    Name, limits, expiry and the way of pulling change at once. The rest needs it stopped, and goes
    into the container of its next start.
    """
    from app.cli.client.api import one

    for one_of, other in _PAIRS:
        if options[one_of] and options[other]:
            raise click.UsageError(f"Say --{other.replace('_', '-')}, or what is to be there.")
    if not any(options.values()):
        raise click.UsageError("Name what to change; `vibebox edit --help` lists what can be.")
    found = lookup.find(api, environment)
    changed = api.patch(one(found["id"]), _changes(found, **options))
    report(changed, as_json, f"{changed['name']} is changed.")


def _changes(
    found: dict[str, Any],
    *,
    new_name: str | None,
    cpus: float | None,
    memory: int | None,
    ports: tuple[dict[str, Any], ...],
    no_ports: bool,
    volume: str | None,
    no_volume: bool,
    expires: timedelta | None,
    no_expiry: bool,
    image: str | None,
    pull: str | None,
    **variables: tuple[Any, ...],
) -> dict[str, Any]:
    """Return what the API is told: what is not named stays."""
    named = {
        "name": new_name,
        "image": image,
        "pull": pull,
        "cpu_limit": cpus,
        "memory_limit_mb": memory,
        "volume_path": volume,
        "expires_at": ahead(expires) if expires is not None else None,
    }
    body: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    if ports or no_ports:
        body["ports"] = list(ports)
    body |= {"volume_path": None} if no_volume else {}
    body |= {"expires_at": None} if no_expiry else {}
    return body | _variables(found, **variables)


def _variables(
    found: dict[str, Any],
    *,
    env: tuple[tuple[str, str], ...],
    unset: tuple[str, ...],
    secrets: tuple[str, ...],
) -> dict[str, Any]:
    """Return variables as a whole, and what of the secrets changes. Raises: UsageError."""
    unknown = [name for name in unset if name not in (*found["env"], *found["secret_names"])]
    if unknown:
        raise click.UsageError(f"{found['name']} has no variable {', '.join(unknown)} to unset.")
    body: dict[str, Any] = {}
    if env or any(name in found["env"] for name in unset):
        kept = {name: value for name, value in found["env"].items() if name not in unset}
        body["env"] = {**kept, **dict(env)}
    changed: dict[str, str | None] = dict(secret_values(secrets))
    changed |= {name: None for name in unset if name in found["secret_names"]}
    if changed:
        body["secrets"] = changed
    return body
