"""`vibebox business`: how many sign up, how far they get, and who comes back."""

import csv
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from app.cli.client import output
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
    """Show sign-ups, first steps and returns (operators)."""
    days = {"since": since, "until": until}
    query = {name: day.date().isoformat() for name, day in days.items() if day is not None}
    found = api.get("/business", **query)
    if as_json:
        output.document(found)
    elif as_csv:
        _print_csv(found["cohorts"])
    else:
        _print_table(found)


def _print_csv(cohorts: list[dict[str, Any]]) -> None:
    if cohorts:
        table = csv.DictWriter(sys.stdout, list(cohorts[0]))
        table.writeheader()
        table.writerows(cohorts)


def _print_table(found: dict[str, Any]) -> None:
    rows = [(f"sign-ups: {way}", number) for way, number in found["sign_ups"].items()]
    rows += [(f"funnel: {step['step']}", step["accounts"]) for step in found["funnel"]]
    for one in found["time_to_shell"]["within"]:
        rows.append((f"shell within {one['seconds']} s", one["accounts"]))
    rows.append(("second week over", found["second_week"]["over"]))
    last = next((day for day in reversed(found["days"]) if day["finished"]), None)
    if last is not None:
        windows = ((days, last[f"active_{days}"]) for days in (1, 7, 30))
        rows += [(f"active in {days} d to {last['day']}", number) for days, number in windows]
    output.table([f"{found['since']} to {found['until']}", "ACCOUNTS"], rows)
