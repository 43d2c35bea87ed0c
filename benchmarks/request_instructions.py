"""Instructions of one request, counted by valgrind: the cost that no other load disturbs.

CPU time on a shared machine rises with whatever else runs there, and not evenly; the number of
instructions does not. A child is run twice, with few and with more requests; the difference is
theirs alone, without what the start takes.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from benchmarks import place
from benchmarks.table import Bar, Section, progress, times
from benchmarks.variants import VARIANTS

_FEW, _MORE = 200, 800
# Each takes half a minute; the others are in request_cost.
_VARIANTS = ("bare", "ours", "log", "traces-off", "traces-none", "stock", "exporter")
_TIMES_CHEAPER = 5.0
_COUNTED = re.compile(r"I\s+refs:\s+([\d,]+)")


def run() -> list[Bar]:
    """Measure, print the section, and return how its bars were met; nothing without valgrind."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        click.echo("\nrequest_instructions is left out: valgrind is not installed", err=True)
        return []
    counted: dict[str, float] = {}
    for name in _VARIANTS:
        progress(VARIANTS[name].title)
        if (found := _per_request(valgrind, name)) is not None:
            counted[name] = found
    added = {name: found - counted["bare"] for name, found in counted.items()}
    _section(counted, added)
    return _bars(added)


def _section(counted: Mapping[str, float], added: Mapping[str, float]) -> None:
    title = f"Instructions of one request, in thousands: {_MORE - _FEW} requests under valgrind"
    columns = ("thousands", "added", "of bare", "added/ours", "added/stock")
    section = Section(title, "variant", *columns)
    for name in _VARIANTS:
        title = VARIANTS[name].title
        if name not in counted:
            section.row(title, "not installed: make benchmark")
            continue
        section.row(
            title,
            f"{counted[name] / 1000:,.1f}",
            f"{added[name] / 1000:,.1f}",
            f"{counted[name] / counted['bare']:.1%}",
            "" if name == "bare" else times(added[name] / added["ours"]),
            "" if name == "bare" else f"{added[name] / added['stock']:.2f}",
        )


def _bars(added: Mapping[str, float]) -> list[Bar]:
    """Return the bars that a busy machine cannot hide."""
    bars = []
    for name, without, words, most in (
        ("log", "ours", "request id and line", 0.75),
        ("traces-off", "log", "traces that are off", 0.03),
        ("traces-none", "log", "traces, none kept,", 0.2),
    ):
        found = (added[name] - added[without]) / added["stock"]
        promise = f"{words} add ≤ {most:g} of stock"
        bars.append(Bar(promise, f"{found:.2f}", found <= most))
    if "exporter" in added:
        ratio = added["exporter"] / added["ours"]
        promise = f"{_TIMES_CHEAPER:.0f}x cheaper than the exporter"
        bars.append(Bar(promise, times(ratio), ratio >= _TIMES_CHEAPER))
    return bars


def _per_request(valgrind: str, name: str) -> float | None:
    with place.temporary() as directory:
        # The first run of new code compiles it, which is not the requests'.
        _run_child([], directory, name, 1)
        few, more = (_count(valgrind, directory, name, number) for number in (_FEW, _MORE))
    return None if few is None or more is None else (more - few) / (_MORE - _FEW)


def _count(valgrind: str, directory: Path, name: str, requests: int) -> int | None:
    """Return the instructions of a child that handles so many requests; None if it cannot."""
    # Cachegrind counts the same as callgrind, in half the time.
    tool = [valgrind, "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    result = _run_child(tool, directory, name, requests)
    found = _COUNTED.search(result.stderr)
    return int(found[1].replace(",", "")) if found and result.returncode == 0 else None


def _run_child(
    tool: Sequence[str], directory: Path, name: str, requests: int
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*tool, sys.executable, "-m", "benchmarks.child", name, str(requests)],
        cwd=place.ROOT,
        env={**place.environment(directory / f"{name}-{requests}"), "PYTHONHASHSEED": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
