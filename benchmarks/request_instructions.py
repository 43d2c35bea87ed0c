"""Instructions of one request, counted by valgrind: the cost that no other load disturbs.

CPU time on a shared machine rises with whatever else runs there, and not evenly; the number of
instructions does not. A child is run twice, with few and with more requests; the difference is
theirs alone, without what the start takes.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import click

from benchmarks import place
from benchmarks.table import Bar, Section, progress, times
from benchmarks.variants import VARIANTS

_FEW, _MORE = 200, 800
# Each takes about a minute; the others are in request_cost.
_VARIANTS = ("bare", "ours", "stock", "exporter")
_TIMES_CHEAPER = 5.0
_COLLECTED = re.compile(r"Collected : (\d+)")


def run() -> list[Bar]:
    """Measure, print the section, and return how its bar was met; nothing without valgrind."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        click.echo("\nrequest_instructions is left out: valgrind is not installed", err=True)
        return []
    title = f"Instructions of one request, in thousands: {_MORE - _FEW} requests under valgrind"
    section = Section(title, "variant", "thousands", "added", "of bare", "added/ours")
    counted: dict[str, float] = {}
    for name in _VARIANTS:
        variant = VARIANTS[name]
        progress(variant.title)
        found = _per_request(valgrind, name)
        if found is None:
            section.row(variant.title, "not installed: make benchmark")
            continue
        counted[name] = found
        _row(section, variant.title, name, counted)
    return _bars(counted)


def _row(section: Section, title: str, name: str, counted: dict[str, float]) -> None:
    added = counted[name] - counted["bare"]
    ours = counted["ours"] - counted["bare"] if "ours" in counted else 0.0
    section.row(
        title,
        f"{counted[name] / 1000:,.1f}",
        f"{added / 1000:,.1f}",
        f"{counted[name] / counted['bare']:.1%}",
        times(added / ours) if ours and name != "bare" else "",
    )


def _bars(counted: dict[str, float]) -> list[Bar]:
    if "exporter" not in counted:
        return []
    ratio = (counted["exporter"] - counted["bare"]) / (counted["ours"] - counted["bare"])
    promise = f"{_TIMES_CHEAPER:.0f}x cheaper than the exporter"
    return [Bar(promise, times(ratio), ratio >= _TIMES_CHEAPER)]


def _per_request(valgrind: str, name: str) -> float | None:
    with place.temporary() as directory:
        few, more = (_count(valgrind, directory, name, number) for number in (_FEW, _MORE))
    return None if few is None or more is None else (more - few) / (_MORE - _FEW)


def _count(valgrind: str, directory: Path, name: str, requests: int) -> int | None:
    """Return the instructions of a child that handles so many requests; None if it cannot."""
    result = subprocess.run(
        [
            *(valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null"),
            *(sys.executable, "-m", "benchmarks.child", name, str(requests)),
        ],
        cwd=place.ROOT,
        env={**place.environment(directory / f"{name}-{requests}"), "PYTHONHASHSEED": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    found = _COLLECTED.search(result.stderr)
    return int(found[1]) if found and result.returncode == 0 else None
