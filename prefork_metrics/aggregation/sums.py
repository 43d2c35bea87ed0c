"""Sums of fractions that no regrouping of the files can lower.

Added one after the other, doubles round at each step: absorbing a file into the archive regroups
the numbers, and the total could fall by its last digit, which Prometheus would take for a reset.
So all parts of a total, the rests that the archive keeps included (see directory.merging), are
added as if with endless digits and rounded once. Counts of buckets are whole numbers, and exact
anyway.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter

from prefork_metrics.aggregation.keys import Key
from prefork_metrics.aggregation.merge_steps import Slots, Values
from prefork_metrics.aggregation.source import Source

_Pick = Callable[[Values], Sequence[float]]


class _Row:
    """What a file has of each total."""

    def __init__(self, file: int, pick: _Pick) -> None:
        self.file = file
        self._pick = pick
        self._values: Values | None = None
        self._parts: Sequence[float] = ()

    def parts(self, values: Values) -> Sequence[float]:
        """Return the parts among a file's values; a file that says the same gives the same."""
        if values is not self._values:
            self._values, self._parts = values, self._pick((*values, 0.0))
        return self._parts


class ExactSums:
    """Which values of which file make which total. `whole` are files with nothing else."""

    def __init__(self, sources: Sequence[Source], slots: Mapping[Key, int]) -> None:
        """`slots`: of the keys in files other than gauges'."""
        gauges = {name for source in sources if source.kind == "gauge" for name in source.families}
        places = {
            file: _places(source, slots, gauges)
            for file, source in enumerate(sources)
            if source.kind != "gauge"
        }
        self._slots = sorted({slot for of_file in places.values() for slot in of_file})
        self.whole = {
            sources[file] for file, found in places.items() if len(found) == len(sources[file].keys)
        }
        self._rows: list[_Row] = []
        for file, of_file in places.items():
            size = 2 if sources[file].paired else 1
            nothing = len(sources[file].keys) * size
            # Of an archive there is a second row: its rests are parts like all others.
            for offset in range(size):
                own = [
                    of_file[slot] * size + offset if slot in of_file else nothing
                    for slot in self._slots
                ]
                # With one place or none an itemgetter does not give a tuple.
                self._rows.append(_Row(file, itemgetter(*own, nothing, nothing)))

    def apply(self, slots: Slots, values: Sequence[Values]) -> None:
        """Put the totals into `slots`."""
        rows = [row.parts(values[row.file]) for row in self._rows]
        totals: Iterable[float]
        try:
            totals = list(map(math.fsum, zip(*rows, strict=True)))
        except (OverflowError, ValueError):  # one of them: inf - inf, or beyond the largest double
            totals = map(_total, zip(*rows, strict=True))
        # The last two columns are the padding's.
        for slot, total in zip(self._slots, totals, strict=False):
            slots[slot] = total


def _places(source: Source, slots: Mapping[Key, int], gauges: set[str]) -> dict[int, int]:
    """Return the number of each value that may be a fraction, by its slot.

    Left out are families that files disagree about, and totals with two parts in one file: no
    process of ours writes such, and what was added one by one stands.
    """
    found = [
        (slots[key], number)
        for number, key in enumerate(source.keys)
        if key.bound is None and key.family not in gauges
    ]
    times = Counter(slot for slot, _ in found)
    return {slot: number for slot, number in found if times[slot] == 1}


def _total(parts: Sequence[float]) -> float:
    try:
        return math.fsum(parts)
    except (OverflowError, ValueError):
        return sum(parts)
