"""CPU time of one request: what each way to measure adds to bare Flask, and to a list of 20 rows.

Every variant answers the same from the same route, in a process of its own. They take turns in
short rounds, so that another load on the machine hits all alike. What a variant adds is the median
of its differences to the plain one in the same turn. The yardstick for traces is what the stock
metrics client adds in this run. What sending takes, in another process, stands beside it.
"""

import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from benchmarks import place
from benchmarks.child import REQUESTS
from benchmarks.exporter_cost import microseconds_per_trace
from benchmarks.service_child import CALLS, LIST_VARIANTS
from benchmarks.table import Bar, Section, progress, times
from benchmarks.variants import VARIANTS

ROUNDS = 31
_ADDED_MICROSECONDS = 8.0
_ENDS_WITHIN = 10.0
_SHARES = {"1 %": 0.01, "10 %": 0.1, "all": 1.0}

Times = dict[str, list[float]]


class Titled(Protocol):
    """A variant, as the table names it."""

    @property
    def title(self) -> str: ...


def run() -> list[Bar]:
    """Measure, print the sections, and return how their bars were met."""
    with place.temporary() as directory:
        measured = _measure("benchmarks.child", directory, VARIANTS)
        added = _added(measured, "bare")
        _request_section(measured, added)
        stock = added.get("stock")
        listed = _measure("benchmarks.service_child", directory, LIST_VARIANTS)
        _list_section(listed, _added(listed, "plain-list"), stock)
        _exporter_section(directory)
    return _bars(added)


def _request_section(measured: Times, added: Mapping[str, float]) -> None:
    title = f"CPU time of one request, in process: median of {ROUNDS} rounds of {REQUESTS}"
    section = Section(title, "variant", "µs", "added µs", "added/ours", "added/stock")
    stock = added.get("stock")
    for name, variant in VARIANTS.items():
        if name in measured:
            more = added[name]
            ratio = "" if name == "bare" else times(more / added["ours"])
            section.row(
                variant.title,
                f"{statistics.median(measured[name]):.1f}",
                f"{more:.1f}",
                ratio,
                _multiple(more, stock),
            )
        else:
            section.row(variant.title, "not installed: make benchmark")


def _list_section(measured: Times, added: Mapping[str, float], stock: float | None) -> None:
    title = f"CPU time of the list request: median of {ROUNDS} rounds of {CALLS}"
    section = Section(title, "variant", "µs", "added µs", "added/stock")
    for name, variant in LIST_VARIANTS.items():
        if name in measured:
            middle = f"{statistics.median(measured[name]):.1f}"
            section.row(variant.title, middle, f"{added[name]:.1f}", _multiple(added[name], stock))
        else:
            section.row(variant.title, "not installed: make benchmark")


def _exporter_section(directory: Path) -> None:
    """Print what the exporter's process takes for what the rounds above have left in the rings."""
    title = "CPU time of the exporter's process, µs a request of which so many are kept"
    section = Section(title, "request", *_SHARES)
    kept = {
        "one span": ("traces-all", (ROUNDS + 1) * REQUESTS),
        "the list, with its statements": ("list-all", (ROUNDS + 1) * CALLS),
    }
    for label, (name, number) in kept.items():
        cost = microseconds_per_trace(directory / name, number)
        if cost is None:
            section.row(label, "not installed: pip install '.[otel]'")
        else:
            section.row(label, *(f"{cost * share:.1f}" for share in _SHARES.values()))


def _multiple(added: float, stock: float | None) -> str:
    return f"{added / stock:.2f}" if stock else ""


def _bars(added: Mapping[str, float]) -> list[Bar]:
    ours = added["ours"]
    promise = f"telemetry adds at most {_ADDED_MICROSECONDS:.0f} µs"
    bars = [Bar(promise, f"{ours:.1f} µs", ours <= _ADDED_MICROSECONDS)]
    if (stock := added.get("stock")) is None:
        return bars
    for name, words, most in (
        ("traces-off", "traces that are off", 0.03),
        ("traces-none", "traces, none kept,", 0.2),
        ("traces-tenth", "traces, 10 % kept,", 0.75),
        ("logs", "log records by OTLP", 0.5),
    ):
        found = (added[name] - added["log"]) / stock
        promise = f"{words} add ≤ {most:g} of stock"
        bars.append(Bar(promise, f"{found:.2f}", found <= most))
    if (exporter := added.get("exporter")) is not None:
        found = added["traces-hundredth"]
        promise = "metrics, line, 1 % of traces: < Flask's"
        bars.append(Bar(promise, f"{found:.1f}/{exporter:.1f}", found < exporter))
    return bars


def _added(measured: Times, plain: str) -> dict[str, float]:
    return {
        name: statistics.median(_differences(rounds, measured[plain]))
        for name, rounds in measured.items()
    }


def _measure(module: str, directory: Path, variants: Mapping[str, Titled]) -> Times:
    """Return the rounds of each variant that could be built."""
    progress(f"{ROUNDS} rounds in turn, {len(variants)} variants of {module}")
    with ExitStack() as stack:
        children = {name: stack.enter_context(child(module, directory, name)) for name in variants}
        measured: Times = {name: [] for name, one in children.items() if round_of(one)}
        for _ in range(ROUNDS):
            for name, rounds in measured.items():
                rounds.append(round_of(children[name]))
        return measured


@contextmanager
def child(module: str, directory: Path, name: str) -> Iterator["subprocess.Popen[str]"]:
    """Start the process of a variant, and end it with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, name],
        cwd=place.ROOT,
        # One order of all dictionaries in all children.
        env={**place.environment(directory / name), "PYTHONHASHSEED": "0"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        _, _ = process.communicate(timeout=_ENDS_WITHIN)


def round_of(child: "subprocess.Popen[str]") -> float:
    """Let the child run a round; 0 when it has ended, since it could not be built."""
    assert child.stdin is not None and child.stdout is not None
    try:
        print(file=child.stdin, flush=True)
    except BrokenPipeError:
        return 0.0
    return float(child.stdout.readline() or 0.0)


def _differences(rounds: list[float], bare: list[float]) -> list[float]:
    return [mine - theirs for mine, theirs in zip(rounds, bare, strict=True)]
