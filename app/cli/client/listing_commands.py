"""`vibebox templates`, `quota`: what can be had, and how much of it."""

from typing import TYPE_CHECKING

import click

from app.cli.client import lookup, output
from app.cli.client.options import as_json, connected

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
    names = {"environments": "environments", "cpus": "CPUs", "memory_mb": "memory (MiB)"}
    rows = [
        (shown, f"{found['used'][name]:.12g}", f"{found['limits'][name]:.12g}")
        for name, shown in names.items()
    ]
    hours = {"cpu_hours": "CPU hours", "memory_gib_hours": "memory (GiB hours)"}
    month = found["month"]
    rows += [
        (
            f"{shown}, this month",
            f"{month['used'][name]:.2f}",
            "none" if month["limits"][name] is None else f"{month['limits'][name]:.12g}",
        )
        for name, shown in hours.items()
    ]
    output.table(("RESOURCE", "USED", "LIMIT"), rows)
