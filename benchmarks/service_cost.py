"""CPU time of the finished service: a transaction, and the list request with 20 environments.

As in `request_cost`, each variant is a process of its own, and they take turns in short rounds;
what is measured runs without a server. The second of each pair is the same without its telemetry.
"""

import statistics
from contextlib import ExitStack

from benchmarks import place
from benchmarks.request_cost import child, round_of
from benchmarks.service_child import CALLS, VARIANTS
from benchmarks.table import Bar, Section, progress

ROUNDS = 31
_MOST_OF_A_LINE = 15.0
_MOST_OF_A_TRANSACTION = 0.04
_MOST_OF_A_LIST = 0.12

Times = dict[str, list[float]]


def run() -> list[Bar]:
    """Measure, print the section, and return how its bars were met."""
    progress(f"{ROUNDS} rounds of {CALLS} calls, {len(VARIANTS)} variants in turn")
    measured = _measure()
    title = f"CPU time of the finished service: median of {ROUNDS} rounds of {CALLS}"
    section = Section(title, "variant", "µs", "added µs", "share")
    for name, variant in VARIANTS.items():
        median = statistics.median(measured[name])
        if variant.without is None:
            section.row(variant.title, f"{median:.1f}")
        else:
            added, share = _added(measured[name], measured[variant.without])
            section.row(variant.title, f"{median:.1f}", f"{added:.1f}", f"{share:.1%}")
    line, _ = _added(measured["line"], measured["no-line"])
    _, transaction = _added(measured["transaction"], measured["plain-transaction"])
    _, listed = _added(measured["list"], measured["plain-list"])
    return [
        Bar("id and log line take at most 15 µs", f"{line:.1f} µs", line <= _MOST_OF_A_LINE),
        Bar(
            "the pool's gauges add at most 4 % to a transaction",
            f"{transaction:.1%}",
            transaction <= _MOST_OF_A_TRANSACTION,
        ),
        Bar(
            "telemetry is at most 12 % of the list request",
            f"{listed:.1%}",
            listed <= _MOST_OF_A_LIST,
        ),
    ]


def _added(rounds: list[float], without: list[float]) -> tuple[float, float]:
    """Return what is added, in µs and as a share of the whole."""
    added = statistics.median(a - b for a, b in zip(rounds, without, strict=True))
    return added, added / statistics.median(rounds)


def _measure() -> Times:
    with place.temporary() as directory, ExitStack() as stack:
        children = {
            name: stack.enter_context(child("benchmarks.service_child", directory, name))
            for name in VARIANTS
        }
        measured: Times = {name: [] for name in children}
        for _ in range(ROUNDS):
            for name, one in children.items():
                measured[name].append(round_of(one))
        return measured
