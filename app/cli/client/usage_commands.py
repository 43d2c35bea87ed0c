"""`vibebox usage`: what was used, and what it costs."""

import csv
import sys
from typing import TYPE_CHECKING, Any

import click

from app.cli.client import lookup, output
from app.cli.client.options import as_json, connected
from app.cli.client.param_types import Moment
from app.core.amounts import hundredths

if TYPE_CHECKING:
    from app.cli.client.api import Api

_GIB_HOUR = 2**30 * 3600
_PAGE = 1000


@click.command()
@click.option(
    "--by",
    type=click.Choice(("environment", "project", "team", "account")),
    default="environment",
    show_default=True,
    help="What use is added up by.",
)
@click.option("--since", type=Moment(), help="From then on: 7d, or a time (RFC 3339).")
@click.option("--until", type=Moment(), help="Until then.")
@click.option("--team", help="Of one team, by name or id.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for a spreadsheet.")
@as_json
@connected
def usage(
    api: "Api",
    by: str,
    since: str | None,
    until: str | None,
    team: str | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Show what environments of yours and your teams' have used.

    Without --since it is that of the last 30 days.
    """
    team_id = lookup.team_id(api, team) if team else None
    found = _all(api, by=by, since=since, until=until, team_id=team_id)
    if as_json:
        output.document(found)
    elif as_csv:
        _print_csv(found["items"])
    else:
        _print_table(by, found)


def _all(api: "Api", **query: Any) -> dict[str, Any]:
    """Return the first page with the items of all. Raises: as `Api.get`."""
    found: dict[str, Any] = api.get("/usage", **query, limit=_PAGE)
    # What is used meanwhile would move items from page to page.
    query |= {"since": found["since"], "until": found["until"]}
    while len(found["items"]) < found["total"]:
        more = api.get("/usage", **query, limit=_PAGE, offset=len(found["items"]))["items"]
        if not more:
            break
        found["items"] += more
    return found


def _print_csv(items: list[dict[str, Any]]) -> None:
    if items:
        table = csv.DictWriter(sys.stdout, list(items[0]))
        table.writeheader()
        table.writerows({**item, "name": _harmless(output.plain(item["name"]))} for item in items)


def _harmless(name: str) -> str:
    """Return a name that no spreadsheet takes for a formula."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@")) else name


def _print_table(by: str, found: dict[str, Any]) -> None:
    rows = [_row(item, item["name"] or "(none)") for item in found["items"]]
    rows.append(_row(found["sum"], "all"))
    if found.get("synthetic", {}).get("runs"):
        rows.append(_row(found["synthetic"], "(synthetic, besides)"))
    headings = [by.upper(), "RUNNING", "CPU", "MEMORY", "NETWORK", "DISK I/O", "STORED", "UNREAD"]
    if found["prices"]:
        headings.append(found["currency"])
    output.table(headings, [row[: len(headings)] for row in rows])
    disk = found.get("disk") or {}
    if disk.get("reason"):
        output.note(
            f"What disks hold is unread since {disk['unread_since']} ({disk['reason']}); it is "
            "booked when they can be read again."
        )


def _row(item: dict[str, Any], name: str) -> list[str]:
    network = item["network_rx_bytes"] + item["network_tx_bytes"]
    stored = item["volume_byte_seconds"] + item["layer_byte_seconds"]
    blocks = item["block_read_bytes"] + item["block_write_bytes"]
    return [
        name,
        _hours(item["running_seconds"]),
        _hours(item["cpu_seconds"]),
        f"{hundredths(item['memory_byte_seconds'] / _GIB_HOUR)} GiB h",
        output.size(network),
        output.size(blocks),
        f"{hundredths(stored / _GIB_HOUR)} GiB h",
        _hours(item["unread_seconds"]),
        hundredths(item["cost"] or 0),
    ]


def _hours(seconds: float) -> str:
    return f"{hundredths(seconds / 3600)} h"
