"""What a metric family is here: a client library metric whose label values are closed sets.

A label with an enumeration accepts its values only; any other value is counted under `other`, and
that in `<prefix>_metrics_label_overflow_total{family}`. A label without one (`route`, say) takes
what the code that owns it passes: it must be a value of the program's text, never of a request.
Children are cached here, because looking one up in the client library costs more than counting.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property, partial
from itertools import product
from typing import Any, Generic, TypeVar

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics import MetricWrapperBase

OTHER = "other"
Metric = TypeVar("Metric", bound=MetricWrapperBase)
# None: values are closed by the code that passes them (URL rules, versions).
Labels = Mapping[str, Collection[str] | None]


class Family(Generic[Metric]):
    """A declared family: `child(*values)` gives the handle to count with.

    Attributes: name (with the suffix that is exported), kind, help, labels, moved_by (the event
    that moves it, for the reference table).
    """

    def __init__(
        self,
        metric: type[Metric],
        name: str,
        help: str,
        labels: Labels,
        moved_by: str = "",
        *,
        on_overflow: Callable[[str], None] = lambda family: None,
        **more: Any,
    ) -> None:
        self.name = name
        self.kind = "histogram" if issubclass(metric, Histogram) else metric.__name__.lower()
        self.help = help
        self.labels = labels
        self.moved_by = moved_by
        self._make_metric = partial(metric, name, help, tuple(labels), **more)
        self._on_overflow = on_overflow
        self._children: dict[tuple[str, ...], Metric] = {}

    @cached_property
    def metric(self) -> Metric:
        """The client library's metric."""
        return self._make_metric()

    def child(self, *values: str) -> Metric:
        """Return the child with these label values, in the order of the declaration."""
        try:
            return self._children[values]
        except KeyError:
            return self._add(values)

    def create(self, *choices: Iterable[str]) -> None:
        """Create every combination of `choices` at 0, so that rate() sees the first event."""
        for values in product(*choices):
            self.child(*values)

    def create_all(self) -> None:
        """Create every combination of the enumerated values at 0."""
        self.create(*(values or () for values in self.labels.values()))

    def remove(self, *values: str) -> None:
        """Have the series with these label values shown no more, whoever has counted it."""
        self._children.pop(values, None)
        self.metric.remove(*values)

    def clear(self) -> None:
        """Have no series of the family shown any more, whoever has counted them."""
        self._children.clear()
        self.metric.clear()

    def _add(self, values: tuple[str, ...]) -> Metric:
        closed = tuple(
            value if allowed is None or value in allowed else OTHER
            for value, allowed in zip(values, self.labels.values(), strict=True)
        )
        if closed != values:
            # Not cached under `values`: that would grow with whatever a client makes up.
            self._on_overflow(self.name)
            return self.child(*closed) if closed in self._children else self._make(closed)
        return self._make(values)

    def _make(self, values: tuple[str, ...]) -> Metric:
        child = self.metric.labels(*values) if values else self.metric
        self._children[values] = child
        return child


class Computed:
    """A declared gauge whose samples are read at scrape time; nothing is kept between scrapes."""

    kind = "gauge"

    def __init__(self, name: str, help: str, labels: Labels, moved_by: str) -> None:
        self.name = name
        self.help = help
        self.labels = labels
        self.moved_by = moved_by

    def samples(self, values: Iterable[tuple[tuple[str, ...], float]]) -> GaugeMetricFamily:
        """Return the family with a sample for each (label values, value)."""
        family = GaugeMetricFamily(self.name, self.help, labels=tuple(self.labels))
        for labels, value in values:
            family.add_metric(labels, value)
        return family


CounterFamily = Family[Counter]
GaugeFamily = Family[Gauge]
HistogramFamily = Family[Histogram]
