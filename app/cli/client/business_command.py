"""`vibebox business`: how many sign up, how far they get, and who comes back."""

import csv
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from app.cli.client import output
from app.cli.client.business_tables import print_tables
from app.cli.client.options import as_json, connected

if TYPE_CHECKING:
    from app.cli.client.api import Api

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option("--since", type=_DAY, help="The first day, such as 2026-01-31; without it 30 days.")
@click.option("--until", type=_DAY, help="The last day; without it today. Days are those of UTC.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: a row for each day and way.")
@as_json
@connected
def business(
    api: "Api", since: datetime | None, until: datetime | None, as_csv: bool, as_json: bool
) -> None:
    """Show sign-ups, first steps and returns (operators).

    Of all accounts together, by days of UTC. What each number means is in docs/business.md.
    """
    days = {"since": since, "until": until}
    query = {name: day.date().isoformat() for name, day in days.items() if day is not None}
    found = api.get("/business", **query)
    if as_json:
        output.document(found)
    elif as_csv:
        _print_csv(found["cohorts"])
    else:
        print_tables(found)


def _print_csv(cohorts: list[dict[str, Any]]) -> None:
    if cohorts:
        table = csv.DictWriter(sys.stdout, list(cohorts[0]))
        table.writeheader()
        table.writerows(cohorts)
