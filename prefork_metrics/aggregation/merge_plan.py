"""Which value of which file goes into which sample, worked out once per set of files and keys.

The rules are those of `prometheus_client.multiprocess.MultiProcessCollector`, also where two files
disagree about a family: the first file's kind and help count, and the last gauge file's mode.

Order, whatever the order of the files: families by name; in a family by labels, then by sample
name; of a histogram's series first the buckets by bound, then `_sum`, then `_count`.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from prefork_metrics.aggregation.families import Family, Order
from prefork_metrics.aggregation.keys import Key
from prefork_metrics.aggregation.merge_steps import MergeStep, Slots
from prefork_metrics.aggregation.source import Source
from prefork_metrics.aggregation.sums import ExactSums


class MergePlan:
    """The way from the files' values to the samples; `outlines` and `signed` as in Order."""

    def __init__(self, sources: Sequence[Source], exact: bool = False) -> None:
        """`exact`: sums of fractions are rounded once, whatever files they come from."""
        self._families = _families(sources)
        # The slots before the first file: 0.0 where values are added, else None.
        self._start: Slots = []
        self._shared: dict[Key, int] = {}
        self._plans = [list(self._plan(source)) for source in sources]
        self._order = Order()
        for _, family in sorted(self._families.items()):
            family.append_to(self._order)
        self.outlines = self._order.outlines
        self.signed = self._order.signed
        # Of what can have an exemplar only: by slot, and by source and position.
        self._numbers = {
            self._order.slots[number]: number for number in self._order.with_exemplars()
        }
        self._exemplars: dict[Source, dict[int, int]] = {}
        self._exact = ExactSums(sources, self._shared) if exact else None
        if self._exact is not None:
            for number, source in enumerate(sources):
                if source in self._exact.whole:
                    self._plans[number] = []

    def samples(self, values: Sequence[tuple[float, ...]]) -> Slots:
        """Return the value of each sample, in order, from those of each source.

        None stands for a sample that is left out: no process has set that `mostrecent` gauge yet.
        """
        slots = self._start.copy()
        stamps: dict[int, float] = {}
        for plan, of_source in zip(self._plans, values, strict=True):
            for step in plan:
                step.apply(slots, of_source, stamps)
        if self._exact is not None:
            self._exact.apply(slots, values)
        samples = list(map(slots.__getitem__, self._order.slots))
        for begin, end, count in self._order.histograms:
            samples[begin:end] = accumulate(samples[begin:end])
            samples[count] = samples[end - 1]
        return samples

    def exemplar_numbers(self, source: Source) -> dict[int, int]:
        """Return the numbers of the samples that can have an exemplar, buckets and counters, by
        the values' place in the file."""
        known = self._exemplars.get(source)
        if known is None:
            slots = map(self._shared.__getitem__, source.keys)
            places = zip(source.positions, slots, strict=True)
            known = self._exemplars[source] = {
                at: self._numbers[slot] for at, slot in places if slot in self._numbers
            }
        return known

    def starts(self, times: Mapping[Source, Sequence[float]]) -> list[float]:
        """Return when each sample began, in order, from the times of each source's keys: the
        earliest; 0 for what is no total, or where a source does not know."""
        earliest: dict[int, float] = {}
        for source, of_source in times.items():
            for key, time in zip(source.keys, of_source, strict=True):
                slot = self._shared[key]
                earliest[slot] = min(earliest.get(slot, time), time)
        return [earliest.get(slot, 0.0) for slot in self._order.slots]

    def _plan(self, source: Source) -> Iterator[MergeStep]:
        paired = source.paired
        slots = self._slots(source)
        operations = {self._families[name].operation for name in source.families}
        if len(operations) == 1:
            yield MergeStep(operations.pop(), paired, range(len(slots)), slots)
            return
        # Only where files disagree about a family.
        for operation in sorted(operations):
            places = [
                place
                for place, key in enumerate(source.keys)
                if self._families[key.family].operation == operation
            ]
            yield MergeStep(operation, paired, places, [slots[place] for place in places])

    def _slots(self, source: Source) -> list[int]:
        """Return the slot of each value of the source; new samples get new slots."""
        if source.kind == "gauge":
            return [self._slot(key, source.member) for key in source.keys]
        for key in source.keys:
            if key not in self._shared:
                self._shared[key] = self._slot(key, None)
        return list(map(self._shared.__getitem__, source.keys))

    def _slot(self, key: Key, member: str | None) -> int:
        family = self._families[key.family]
        slot = family.slot(key, member, len(self._start))
        if slot == len(self._start):
            self._start.append(0.0 if family.operation == "sum" else None)
        return slot


def _families(sources: Sequence[Source]) -> dict[str, Family]:
    families: dict[str, Family] = {}
    for source in sources:
        for name, help in source.families.items():
            family = families.setdefault(name, Family(name, source.kind, help))
            if source.kind == "gauge":
                family.mode = source.mode
    return families
