"""CPU time of the finished service: a transaction, and the list request with 20 environments.

Each variant is a process of its own (`benchmarks.turns`); what is measured runs without a server.
The second of each pair is the same without its telemetry.
"""

import statistics

from benchmarks import place
from benchmarks.service_child import CALLS, VARIANTS
from benchmarks.table import Bar, Section
from benchmarks.turns import OF_ALL, measure

_MOST_OF_A_LINE = 15.0
_MOST_OF_A_TRANSACTION = 0.04
_MOST_OF_A_LIST = 0.12


def run() -> list[Bar]:
    """Measure, print the section, and return how its bars were met."""
    with place.temporary() as directory:
        measured = measure("benchmarks.service_child", directory, VARIANTS)
    title = f"CPU time of the finished service: {OF_ALL} of {CALLS}"
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
