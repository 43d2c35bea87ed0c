"""The families of one service: its own, and those that the library measures by itself.

A family is made when it is first counted with: what a server cannot tell (the threads of a worker
that has none, a database that nobody measures) is then not shown as 0.
"""

import re
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    Histogram,
    Info,
    Summary,
)
from prometheus_client.core import Metric

from prefork_metrics import client as metrics_client
from prefork_metrics.family import (
    Computed,
    CounterFamily,
    Family,
    GaugeFamily,
    HistogramFamily,
    Labels,
)
from prefork_metrics.native import NativeHistogram
from prefork_metrics.standard.database import DatabaseFamilies
from prefork_metrics.standard.process import ProcessFamilies
from prefork_metrics.standard.requests import RequestFamilies
from prefork_metrics.standard.scrape import ScrapeFamilies
from prefork_metrics.standard.server import ServerFamilies

__all__ = [
    "Counter",
    "Enum",
    "Gauge",
    "Histogram",
    "Info",
    "NativeHistogram",
    "Registry",
    "Summary",
    "of_process",
]

metrics_client.install()

_PREFIX = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_of_process: list["Registry"] = []


def of_process() -> "Registry | None":
    """Return the registry of the application that this process serves, None before it is built."""
    return _of_process[-1] if _of_process else None


class Registry:
    """Declares families under a prefix; keep one for a service, and one prefix for each.

    Attributes: prefix; client (the client library's registry that holds these families: one of its
    own by default, beside which a process without a directory shows the client library's default
    one); families (in the order of their declaration); roles (values of the label `role`, one for
    each kind of process); collectors (names of parts of a scrape that are the service's own);
    models (tables that statements are told apart by); scrape, process, server, requests, database
    (the library's families, declared when they are first asked for).

    Raises: ValueError where the prefix cannot begin a name.
    """

    def __init__(
        self,
        prefix: str = "app",
        *,
        client: CollectorRegistry | None = None,
        roles: Iterable[str] = ("web",),
        collectors: Iterable[str] = (),
        models: Iterable[str] = (),
    ) -> None:
        if not _PREFIX.fullmatch(prefix):
            raise ValueError(f"{prefix!r} cannot begin the name of a metric: letters, digits and _")
        self.prefix = prefix
        self.client = client or CollectorRegistry(auto_describe=False)
        self._beside = () if client else (REGISTRY,)
        self.roles = tuple(roles)
        self.collectors = tuple(collectors)
        self.models = tuple(models)
        self.families: list[Family[Any] | Computed] = []
        self.scrape = ScrapeFamilies(self)

    def collect(self) -> Iterable[Metric]:
        """Return what this process alone has, where there is no directory."""
        for registry in (self.client, *self._beside):
            yield from registry.collect()

    @cached_property
    def process(self) -> ProcessFamilies:
        return ProcessFamilies(self)

    @cached_property
    def server(self) -> ServerFamilies:
        return ServerFamilies(self)

    @cached_property
    def requests(self) -> RequestFamilies:
        return RequestFamilies(self)

    @cached_property
    def database(self) -> DatabaseFamilies:
        return DatabaseFamilies(self)

    def counter(self, name: str, help: str, labels: Labels, moved_by: str = "") -> CounterFamily:
        """Declare a counter.

        name: without the prefix. labels: the values of each, None where the code that counts
        closes them. moved_by: the event that moves it, for a reference table.
        """
        return self._declare(Counter, name, help, labels, moved_by)

    def gauge(
        self,
        name: str,
        help: str,
        labels: Labels,
        moved_by: str = "",
        *,
        multiprocess_mode: str = "livesum",
    ) -> GaugeFamily:
        """Declare a gauge (see `counter`); the mode is one of the client library's."""
        return self._declare(
            Gauge, name, help, labels, moved_by, multiprocess_mode=multiprocess_mode
        )

    def histogram(
        self,
        name: str,
        help: str,
        labels: Labels,
        moved_by: str = "",
        *,
        buckets: Iterable[float] = Histogram.DEFAULT_BUCKETS,
        native: bool = False,
    ) -> HistogramFamily:
        """Declare a histogram (see `counter`) with these upper bounds.

        native: protocol buffers show it with native buckets too (see `native`), which take 2 KiB a
        series in each process.
        """
        metric = NativeHistogram if native else Histogram
        return self._declare(metric, name, help, labels, moved_by, buckets=tuple(buckets))

    def computed(self, name: str, help: str, labels: Labels, moved_by: str = "") -> Computed:
        """Declare a gauge that is read when it is scraped (see `counter`)."""
        family = Computed(f"{self.prefix}_{name}", help, labels, moved_by)
        self.families.append(family)
        return family

    def serve(self) -> None:
        """Say that this process serves an application whose metrics these are."""
        _of_process[:] = [self]

    def note_overflow(self, family: str) -> None:
        """Count a label value that is outside of its closed set."""
        self.scrape.label_overflow.child(family).inc()

    def reference_table(self) -> str:
        """Return the families as a Markdown table, in the order of their declaration."""
        lines = ["| family | type | labels | moved by |", "|---|---|---|---|"]
        for family in self.families:
            labels = ", ".join(family.labels) or "none"
            lines.append(f"| `{family.name}` | {family.kind} | {labels} | {family.moved_by} |")
        return "\n".join(lines) + "\n"

    def _declare(
        self, metric: Any, name: str, help: str, labels: Labels, moved_by: str, **more: Any
    ) -> Family[Any]:
        family: Family[Any] = Family(
            metric,
            f"{self.prefix}_{name}",
            help,
            labels,
            moved_by,
            on_overflow=self.note_overflow,
            registry=self.client,
            **more,
        )
        self.families.append(family)
        return family
