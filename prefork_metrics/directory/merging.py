"""What several files of one type come to, as the stock collector would show it.

    counter, histogram, summary     the sum of each key
    gauge min, max, mostrecent      the winner, by the stock collector's comparison
    gauge sum                       the sum
    gauge all                       the sum: the stock collector shows each process of the past by
                                    its pid for ever, and that cannot be bounded; what `sum without
                                    (pid)` shows stays the same. The product has no such gauge.
    gauge live*                     never get here: they end with their process

Doubles round, and the sum of an archive and a live file must not be an ulp below the sum of the
files before: Prometheus would take that for a reset. So where a sum is not exact, the archive keeps
the rest of it in the entry's time, which stands for nothing in these types (stock tools ignore it).
A reader that adds all values and rests with `math.fsum` never sees a fall, however small.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable

from prefork_metrics.directory.codec import Entry

Files = Iterable[tuple[list[Entry], bool]]
"""The entries of each file, and whether it is an archive, whose times are rests."""


def merge(prefix: str, files: Files) -> list[Entry]:
    """Merge the entries of files of one type, in their order."""
    if not prefix.startswith("gauge_"):
        return _exact_totals(files)
    by_key: defaultdict[str, list[Entry]] = defaultdict(list)
    for entries, _ in files:
        for entry in entries:
            by_key[entry.key].append(entry)
    merge_one = _MERGES.get(prefix, _total)
    return [merge_one(entries) for entries in by_key.values()]


def _exact_totals(files: Files) -> list[Entry]:
    parts: defaultdict[str, list[float]] = defaultdict(list)
    for entries, is_archive in files:
        for key, value, rest in entries:
            parts[key].append(value)
            if is_archive and rest:
                parts[key].append(rest)
    return [Entry(key, *_exact_sum(numbers)) for key, numbers in parts.items()]


def _exact_sum(numbers: list[float]) -> tuple[float, float]:
    """Return the sum and what rounding took from it."""
    total = _sum(numbers)
    if len(numbers) == 1 or not math.isfinite(total):
        return total, 0.0
    return total, _sum([*numbers, -total])


def _total(entries: list[Entry]) -> Entry:
    return Entry(entries[0].key, _sum([entry.value for entry in entries]), 0.0)


def _sum(numbers: list[float]) -> float:
    try:
        return math.fsum(numbers)
    except (OverflowError, ValueError):  # inf - inf, or beyond the largest double
        return sum(numbers)


def _least(entries: list[Entry]) -> Entry:
    least = entries[0]
    for entry in entries:
        if entry.value < least.value:
            least = entry
    return least


def _greatest(entries: list[Entry]) -> Entry:
    greatest = entries[0]
    for entry in entries:
        if entry.value > greatest.value:
            greatest = entry
    return greatest


def _most_recent(entries: list[Entry]) -> Entry:
    latest = entries[0]
    for entry in entries:
        if entry.timestamp > latest.timestamp:
            latest = entry
    return latest


_MERGES: dict[str, Callable[[list[Entry]], Entry]] = {
    "gauge_min": _least,
    "gauge_max": _greatest,
    "gauge_mostrecent": _most_recent,
}
