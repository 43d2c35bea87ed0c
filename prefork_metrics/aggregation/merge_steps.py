"""How the values of one file go into the slots of the samples.

Files are taken in their order, as in the stock collector: a sum of floats depends on it.
"""

from collections.abc import Callable, Sequence
from operator import add
from typing import Any

# Slots hold floats, or None where there is no value yet; Any, for they are added in bulk.
Slots = list[Any]
Values = Sequence[float]


class MergeStep:
    """Some values of a file, all merged by one operation.

    operation: a key of OPERATIONS; paired: a timestamp follows each value; places: which of the
    file's values; slots: where each of them goes.
    """

    def __init__(
        self, operation: str, paired: bool, places: Sequence[int], slots: list[int]
    ) -> None:
        self._operation = OPERATIONS[operation]
        self._paired = paired
        whole = len(places) == 0 or (places[0] == 0 and len(places) == places[-1] + 1)
        self._places = None if whole and isinstance(places, range) else places
        # Files of one shape fill one run of slots, which costs half of picking them one by one.
        self._begin = slots[0] if slots else 0
        run = range(self._begin, self._begin + len(slots))
        self._run = next(
            (at for at, (slot, next_) in enumerate(zip(slots, run, strict=True)) if slot != next_),
            len(slots),
        )
        self._rest = slots[self._run :] if self._operation is _sum else slots

    def apply(self, slots: Slots, values: Values, stamps: dict[int, float]) -> None:
        """Merge `values` into `slots`; `stamps` are the slots' timestamps up to now."""
        times: Values = ()
        if self._paired:
            values, times = values[::2], values[1::2]
        if self._places is not None:
            values = [values[place] for place in self._places]
            times = [times[place] for place in self._places] if self._paired else ()
        if self._operation is _sum:
            end = self._begin + self._run
            slots[self._begin : end] = map(add, slots[self._begin : end], values)
            values = values[self._run :]
        self._operation(slots, self._rest, values, times, stamps)


def _sum(
    slots: Slots, into: list[int], values: Values, times: Values, stamps: dict[int, float]
) -> None:
    for slot, value in zip(into, values, strict=True):
        slots[slot] += value


def _min(
    slots: Slots, into: list[int], values: Values, times: Values, stamps: dict[int, float]
) -> None:
    for slot, value in zip(into, values, strict=True):
        if slots[slot] is None or value < slots[slot]:
            slots[slot] = value


def _max(
    slots: Slots, into: list[int], values: Values, times: Values, stamps: dict[int, float]
) -> None:
    for slot, value in zip(into, values, strict=True):
        if slots[slot] is None or value > slots[slot]:
            slots[slot] = value


def _latest(
    slots: Slots, into: list[int], values: Values, times: Values, stamps: dict[int, float]
) -> None:
    # No zip(strict): a file that is not a gauge's has no times, and then nothing is the latest.
    for slot, value, time in zip(into, values, times, strict=False):
        if stamps.get(slot, 0.0) < time:
            slots[slot] = value
            stamps[slot] = time


def _each(
    slots: Slots, into: list[int], values: Values, times: Values, stamps: dict[int, float]
) -> None:
    for slot, value in zip(into, values, strict=True):
        slots[slot] = value


OPERATIONS: dict[str, Callable[[Slots, list[int], Values, Values, dict[int, float]], None]] = {
    "sum": _sum,
    "min": _min,
    "max": _max,
    "latest": _latest,
    "each": _each,
}
