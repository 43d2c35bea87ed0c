"""A family in the making: which of its samples has which slot, and the order they are shown in."""

from collections.abc import Iterator

from prometheus_client.utils import floatToGoString

from prefork_metrics.aggregation.keys import Key
from prefork_metrics.outline import Labels, Outline

# By gauge mode without the prefix `live`; any other mode keeps one sample per member.
_MERGED = {"min": "min", "max": "max", "sum": "sum", "mostrecent": "latest"}


class Order:
    """The samples of all families, one after the other.

    Attributes: outlines; slots (of each sample); histograms (first bucket, end of the buckets, and
    count, as numbers of samples); signed (numbers of the samples whose value can be -0.0, which
    equals 0.0 but is written otherwise: sums start at 0.0 and never are).
    """

    def __init__(self) -> None:
        self.outlines: list[Outline] = []
        self.slots: list[int] = []
        self.histograms: list[tuple[int, int, int]] = []
        self.signed: list[int] = []

    def with_exemplars(self) -> Iterator[int]:
        """Yield the numbers of samples that OpenMetrics allows an exemplar: buckets, counters."""
        for begin, end, _ in self.histograms:
            yield from range(begin, end)
        before = 0
        for outline in self.outlines:
            if outline.kind == "counter":
                for number, (name, _) in enumerate(outline.samples, before):
                    if name.endswith("_total"):
                        yield number
            before += len(outline.samples)


class Family:
    """A family and the slots of its samples; `mode` is that of a gauge."""

    def __init__(self, name: str, kind: str, help: str) -> None:
        self.name = name
        self.kind = kind
        self.help = help
        self.mode = ""
        self._plain: dict[Labels, dict[str, int]] = {}
        self._buckets: dict[Labels, dict[float, int]] = {}

    @property
    def operation(self) -> str:
        """How the values of several processes make one: a key of `steps.OPERATIONS`."""
        if self.kind != "gauge":
            return "sum"
        return _MERGED.get(self.mode.removeprefix("live"), "each")

    def slot(self, key: Key, member: str | None, free: int) -> int:
        """Return the slot of this key's sample, which is `free` where it has none yet.

        member: whose it is, where it comes from a gauge's file; None otherwise.
        """
        labels = key.labels
        if member is not None:
            labels += (("pid", member),)
        if self.kind == "gauge" and self.operation != "each":
            labels = tuple(label for label in labels if label[0] != "pid")
        if self.kind == "histogram" and key.bound is not None and key.bound == key.bound:
            series = tuple(label for label in labels if label[0] != "le")
            return self._buckets.setdefault(series, {}).setdefault(key.bound, free)
        return self._plain.setdefault(labels, {}).setdefault(key.name, free)

    def append_to(self, order: Order) -> None:
        """Append the samples, by labels, then buckets by bound, `_sum`, `_count`."""
        samples: list[tuple[str, Labels]] = []
        first = len(order.slots)
        count = f"{self.name}_count"
        for labels in sorted(self._plain.keys() | self._buckets.keys()):
            named = self._plain.get(labels, {})
            buckets = sorted(self._buckets.get(labels, {}).items())
            begin = len(order.slots)
            for bound, slot in buckets:
                limit = (("le", floatToGoString(bound)),)
                samples.append((f"{self.name}_bucket", labels + limit))
                order.slots.append(slot)
            if buckets:
                # The count is the last bucket's, whatever a file says of it.
                named = {**named, count: buckets[-1][1]}
                place = len(order.slots) + len(named) - 1
                order.histograms.append((begin, begin + len(buckets), place))
            for name in sorted(named, key=lambda name: (name == count, name)):
                samples.append((name, labels))
                order.slots.append(named[name])
        if self.kind == "gauge":
            order.signed.extend(range(first, len(order.slots)))
        order.outlines.append(Outline(self.name, self.kind, self.help, tuple(samples)))
