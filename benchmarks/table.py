"""The table: sections with columns of their own, and at the end how each bar was met."""

from collections.abc import Sequence
from typing import NamedTuple

import click

WIDE = 41
"""Of a first column that holds sentences."""

_CELL = 12


class Bar(NamedTuple):
    """A promise, what was measured, and whether it is kept."""

    promise: str
    measured: str
    kept: bool


class Section:
    """A part of the table; each row is printed when it is known."""

    def __init__(self, title: str, label: str, *columns: str, width: int = WIDE) -> None:
        self._width = width
        click.echo(f"\n{title}\n")
        self.row(label, *columns)
        click.echo("-" * (width + _CELL * len(columns)))

    def row(self, label: str, *cells: str) -> None:
        click.echo(f"{label:<{self._width}}" + "".join(f"{cell:>{_CELL}}" for cell in cells))


def progress(text: str) -> None:
    """Say on standard error what takes its time."""
    click.echo(f"  … {text}", err=True)


def print_bars(bars: Sequence[Bar]) -> None:
    """Print the last section."""
    section = Section("Bars", "what was promised", "measured", "")
    for bar in bars:
        section.row(bar.promise, bar.measured, "kept" if bar.kept else "MISSED")


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms"


def times(ratio: float) -> str:
    return f"{ratio:.1f}x" if ratio < 100 else f"{ratio:,.0f}x"


def size(count: int) -> str:
    return f"{count / 1024:,.0f} KiB"
