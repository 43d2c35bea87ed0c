"""CPU time of one request: what each way to measure adds to bare Flask, and to a list of 20 rows.

Every variant answers the same from the same route, in a process of its own. They take turns in
short rounds (`benchmarks.turns`). What a variant adds is the median of its differences to the plain
one in the same turn. The yardstick for traces is what the stock metrics client adds in this run.
What sending takes, in another process, stands beside it.
"""

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from benchmarks import place
from benchmarks.child import REQUESTS
from benchmarks.exporter_cost import microseconds_per_trace
from benchmarks.service_child import CALLS, LIST_VARIANTS
from benchmarks.table import Bar, Section, times
from benchmarks.turns import OF_ALL, ROUNDS, Times, measure, place_of
from benchmarks.variants import VARIANTS

_ADDED_MICROSECONDS = 8.0
_SHARES = {"1 %": 0.01, "10 %": 0.1, "all": 1.0}


class Titled(Protocol):
    """A variant, as the table names it."""

    @property
    def title(self) -> str: ...


def run() -> list[Bar]:
    """Measure, print the sections, and return how their bars were met."""
    with place.temporary() as directory:
        measured = measure("benchmarks.child", directory, VARIANTS)
        added = _added(measured, "bare")
        _request_section(measured, added)
        stock = added.get("stock")
        listed = measure("benchmarks.service_child", directory, LIST_VARIANTS)
        _list_section(listed, _added(listed, "plain-list"), stock)
        _exporter_section(directory)
    return _bars(added)


def _request_section(measured: Times, added: Mapping[str, float]) -> None:
    title = f"CPU time of one request, in process: {OF_ALL} of {REQUESTS}"
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
    title = f"CPU time of the list request: {OF_ALL} of {CALLS}"
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
        cost = microseconds_per_trace(place_of(directory, name), number)
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


def _differences(rounds: list[float], bare: list[float]) -> list[float]:
    return [mine - theirs for mine, theirs in zip(rounds, bare, strict=True)]
