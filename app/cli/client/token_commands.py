"""`vibebox token`: an access token for other programs, and API keys."""

import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from app.cli.client import output
from app.cli.client.errors import RefusedError
from app.cli.client.options import as_json, connected, open_api, url
from app.cli.client.param_types import Duration, ahead

if TYPE_CHECKING:
    from app.cli.client.api import Api

SCOPES = ("read", "write", "execute")
_LEAST_SECONDS = 300.0


@click.group(invoke_without_command=True)
@url
@click.pass_context
def token(context: click.Context, url: str) -> None:
    """Print an access token; or handle API keys.

    The access token is good for five minutes at least, for programs such as curl.
    """
    if context.invoked_subcommand is None:
        with open_api(url) as api:
            click.echo(api.bearer.token(_LEAST_SECONDS))


@token.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    required=True,
    help="What the key is good for; may be given several times.",
)
@click.option("--expires", type=Duration(), help="How long it is valid, as 30d; default: for ever.")
@as_json
@connected
def create(
    api: "Api", name: str, scopes: tuple[str, ...], expires: timedelta | None, as_json: bool
) -> None:
    """Make an API key called NAME; it is shown this once."""
    body = {"name": name, "scopes": sorted(set(scopes))}
    if expires is not None:
        body["expires_at"] = ahead(expires)
    made = api.post("/api-keys", body)
    if as_json:
        output.document(made)
        return
    click.echo(made["key"])
    if sys.stdout.isatty():
        output.note("It is not shown again. Programs set VIBEBOX_TOKEN to it.")


@token.command()
@as_json
@connected
def ls(api: "Api", as_json: bool) -> None:
    """List your API keys."""
    listed = api.get("/api-keys")
    if as_json:
        output.document(listed)
        return
    rows = [
        (
            key["name"],
            f"{key['prefix']}…",
            ",".join(sorted(key["scopes"])),
            output.age(key["created_at"]),
            output.age(key["expires_at"]) or "never",
            output.age(key["last_used_at"]) or "never",
        )
        for key in listed["items"]
    ]
    output.table(("NAME", "KEY", "SCOPES", "AGE", "EXPIRES", "LAST USED"), rows)


@token.command()
@click.argument("name")
@connected
def revoke(api: "Api", name: str) -> None:
    """End the API key called NAME, or of that id, at once."""
    keys = api.get("/api-keys")["items"]
    found = next((key for key in keys if name in (key["name"], key["id"])), None)
    if found is None:
        raise RefusedError(
            f"You have no API key {name!r}.", "`vibebox token ls` lists your API keys."
        )
    api.delete(f"/api-keys/{found['id']}")
    output.note(f"The API key {found['name']} is revoked.")
