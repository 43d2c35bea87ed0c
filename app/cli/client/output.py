"""How the commands print: tables that fit the terminal, and JSON for programs."""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from app.cli.screen import json_text, lines

_GAP = "  "
_NARROWEST = 8
_COLOURS = {
    "running": "green",
    "paused": "cyan",
    "starting": "yellow",
    "stopping": "yellow",
    "error": "red",
    "installed": "green",
    "installing": "yellow",
    "uninstalling": "yellow",
    "failed": "red",
}
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_AGES = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def document(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json_text(json.dumps(value, indent=2, ensure_ascii=False)))


def table(headings: Sequence[str], rows: Sequence[Sequence[Any]], *, width: int = 0) -> None:
    """Print rows under headings; on a terminal the widest columns are cut until they fit.

    `width` is the terminal's; 0: find out.
    """
    width = width or _terminal_width()
    lines = [list(headings), *([plain(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    while width and sum(widths) + len(_GAP) * (len(widths) - 1) > width:
        widest = widths.index(max(widths))
        if widths[widest] <= _NARROWEST:
            break
        widths[widest] -= 1
    for line in lines:
        cells = [_fitted(cell, widths[column]) for column, cell in enumerate(line)]
        click.echo(_GAP.join(map(_coloured, cells)).rstrip())


def pairs(values: dict[str, Any]) -> None:
    """Print names and values below each other; what is None or empty is left out."""
    shown = {name: value for name, value in values.items() if value not in (None, "", [], {})}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        for number, line in enumerate(value if isinstance(value, list) else [value]):
            click.echo(f"{'' if number else name:<{width}}{_GAP}{_coloured(plain(line))}")


def plain(value: Any) -> str:
    """Return a value as one line of text without what would steer the terminal."""
    text = "" if value is None else str(value)
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def note(text: str) -> None:
    """Say something beside the output."""
    click.echo(lines(text), err=True)


def size(count: float) -> str:
    """Return a number of bytes for people."""
    unit = 0
    while count >= 1024 and unit < len(_UNITS) - 1:
        count /= 1024
        unit += 1
    return f"{count:.0f} {_UNITS[unit]}" if unit == 0 else f"{count:.1f} {_UNITS[unit]}"


def age(moment: str | None, now: datetime | None = None) -> str:
    """Return how long ago a moment of the API was, or `in …` how far ahead it is."""
    if moment is None:
        return ""
    seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(moment)).total_seconds()
    if seconds <= -1:
        # What is made to last 8h says so, and not 7h a moment later.
        return next(f"in {-seconds / n:.0f}{u}" for n, u in _AGES if -seconds / n > 0.99)
    return next((f"{seconds // n:.0f}{u}" for n, u in _AGES if seconds >= n), "0s")


def ports(environment: dict[str, Any]) -> list[str]:
    """Return the ports of an environment as the command `create` takes them, where known."""
    found = environment["published_ports"] or environment["ports"]
    return [
        ":".join(str(port[key]) for key in ("host_port", "container_port") if port[key])
        + ("" if port["protocol"] == "tcp" else f"/{port['protocol']}")
        for port in found
    ]


def _terminal_width() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def _fitted(text: str, width: int) -> str:
    return f"{text:<{width}}" if len(text) <= width else f"{text[: width - 1]}…"


def _coloured(cell: str) -> str:
    colour = _COLOURS.get(cell.strip())
    if colour is None or os.environ.get("NO_COLOR") or not sys.stdout.isatty():
        return cell
    return click.style(cell, fg=colour)
