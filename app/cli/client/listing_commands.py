"""`vibebox templates`, `quota`: what can be had, and how much of it."""

from typing import TYPE_CHECKING, Any

import click

from app.cli.client import lookup, output
from app.cli.client.options import as_json, connected
from app.core.amounts import RESOURCES, exact

if TYPE_CHECKING:
    from app.cli.client.api import Api


@click.command()
@as_json
@connected
def templates(api: "Api", as_json: bool) -> None:
    """List what new environments can be filled from."""
    listed = api.get("/templates")
    if as_json:
        output.document(listed)
        return
    rows = [(item["name"], item["image"], item["description"]) for item in listed["items"]]
    output.table(("NAME", "IMAGE", "DESCRIPTION"), rows)


@click.command()
@click.option("--team", help="Of a team, by name or id, instead of your own.")
@as_json
@connected
def quota(api: "Api", team: str | None, as_json: bool) -> None:
    """Show what you may have, and what is used of it."""
    found = api.get("/quota", team_id=lookup.team_id(api, team) if team else None)
    if as_json:
        output.document(found)
        return
    rows = [*_rows(found), *_rows(found["month"], ", this month")]
    output.table(("RESOURCE", "USED", "LIMIT"), rows)


def _rows(found: dict[str, Any], when: str = "") -> list[tuple[str, ...]]:
    used, limits = found["used"], found["limits"]
    return [
        (
            f"{shown}{when}",
            exact(used[name]),
            "none" if limits[name] is None else exact(limits[name]),
        )
        for name, shown in RESOURCES.items()
        if name in used
    ]
