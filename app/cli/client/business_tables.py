"""The numbers of `vibebox business`, as people read them: what the console shows on its page."""

from datetime import datetime
from typing import Any

import click

from app.cli.client import output

_STEPS = {
    "signed_up": "signed up",
    "environment": "made an environment",
    "started": "started one",
    "shell": "had a usable shell",
    "second_week": "came back in the second week",
}
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_NONE = "-"


def print_tables(found: dict[str, Any]) -> None:
    """Print the answer of the route: of when it is, and a table for each question."""
    click.echo(f"{found['since']} to {found['until']} (UTC). {_as_of(found['read_at'])}")
    _print_sign_ups(found["sign_ups"])
    _print_funnel(found["funnel"], found["second_week"]["over"])
    _print_shell(found["time_to_shell"])
    _print_active(found["days"])
    returned, over = found["second_week"]["returned"], found["second_week"]["over"]
    click.echo(
        f"\n{returned} of these sign-ups have come back 7 to 14 days later; "
        f"for {over} of them that time is over."
    )


def _as_of(read_at: str | None) -> str:
    if read_at is None:
        return "The agent has not read the audit log yet."
    moment = datetime.fromisoformat(read_at)
    return f"By the audit log up to {moment:%Y-%m-%d %H:%M:%S}."


def _print_sign_ups(ways: dict[str, int]) -> None:
    rows = [(way.replace("_", " "), number) for way, number in ways.items()]
    _print_table(("SIGN-UPS", "ACCOUNTS"), [*rows, ("all", sum(ways.values()))])


def _print_funnel(funnel: list[dict[str, Any]], over: int) -> None:
    signed_up = funnel[0]["accounts"]
    rows, before = [], None
    for one in funnel:
        step, number = one["step"], one["accounts"]
        shares = [_share(number, signed_up), _NONE if before is None else _share(number, before)]
        if step == "second_week":
            shares = [_so_far(share, over, signed_up) for share in shares]
        rows.append((_STEPS.get(step, step), number, *shares))
        before = number
    _print_table(("HOW FAR THEY GET", "ACCOUNTS", "OF SIGN-UPS", "OF THE STEP BEFORE"), rows)


def _so_far(share: str, over: int, signed_up: int) -> str:
    """Return a share of who came back, which grows until the second week of all is over."""
    if not over:
        return _NONE
    return share if over >= signed_up else f"{share} so far"


def _print_shell(told: dict[str, Any]) -> None:
    number = told["accounts"]
    rows = [
        (_span(one["seconds"]), one["accounts"], _share(one["accounts"], number))
        for one in told["within"]
    ]
    _print_table(("SHELL WITHIN", "ACCOUNTS", "OF THOSE WITH A SHELL"), rows)
    if number:
        click.echo(f"{number} had one, after {_span(told['seconds'] / number)} on average.")


def _print_active(days: list[dict[str, Any]]) -> None:
    last = max((number for number, day in enumerate(days) if day["finished"]), default=0)
    rows = [
        (
            day["day"] if day["finished"] else f"{day['day']}, so far",
            *(day[f"active_{window}"] for window in (1, 7, 30)),
        )
        for day in days[last:]
    ]
    none = ("no day is counted yet", *[_NONE] * 3)
    _print_table(("ACTIVE", "THAT DAY", "IN 7 DAYS TO IT", "IN 30 DAYS TO IT"), rows or [none])


def _print_table(headings: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    click.echo()
    output.table(headings, rows)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else _NONE


def _span(seconds: float) -> str:
    length, unit = next((pair for pair in _UNITS if seconds >= pair[0]), _UNITS[-1])
    return f"{seconds / length:.1f}".removesuffix(".0") + f" {unit}"
