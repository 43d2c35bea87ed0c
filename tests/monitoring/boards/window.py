"""What a panel shows of a time that begins and ends with a scrape.

Prometheus extrapolates a rate to the ends of its range. Where the range begins and ends with a
sample there is nothing to extrapolate, and an increase is the difference of two samples: so what a
panel shows can be compared with a record to the last request.
"""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.backends.prometheus import Prometheus, Vector
from tests.monitoring.boards.lint_boards import DASHBOARDS, panels
from tests.monitoring.boards.promql import substituted

Json = dict[str, Any]


@cache
def board(name: str) -> Json:
    """Return a committed dashboard."""
    found: Json = json.loads((DASHBOARDS / f"{name}.json").read_text())
    return found


def query_of(name: str, title: str, reference: str = "A") -> str:
    """Return a query of a panel."""
    (panel,) = (panel for panel in panels(board(name)) if panel["title"] == title)
    (target,) = (target for target in panel["targets"] if target["refId"] == reference)
    return str(target["expr"])


@dataclass(frozen=True)
class Window:
    """From one scrape to another: their times in seconds since 1970, and those between."""

    prometheus: Prometheus
    times: tuple[float, ...]
    scrapes: int
    """How many scrapes the last one counts that the first did not: each counts those before."""

    @classmethod
    def since(cls, prometheus: Prometheus, start: float) -> "Window":
        """Return the time from the first scrape after `start` to the last one that succeeded."""
        found = [at for at in prometheus.sample_times("vibebox_workers") if at >= start]
        # One that is late is given up, and counted by the service all the same.
        tried = [at for at in prometheus.sample_times("up") if found[0] < at <= found[-1]]
        return cls(prometheus, tuple(found), len(tried))

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.times[-1] - self.times[0]

    def shown(self, name: str, title: str, reference: str = "A") -> Vector:
        """Return what a panel shows at the end, its rates those over the whole window."""
        # The first sample is only in the range when it begins a moment before it.
        length = f"{round(self.seconds * 1000) + 1}ms"
        query = substituted(
            query_of(name, title, reference),
            __rate_interval=length,
            __range=length,
            __interval_ms=str(round(self.seconds * 1000)),
        )
        return self.prometheus.query(query, at=self.times[-1])

    def amounts(
        self, name: str, title: str, *labels: str, reference: str = "A", rate: bool = True
    ) -> dict[tuple[str, ...], int]:
        """Return what a panel shows as numbers of events, by labels; those of none left out."""
        found: dict[tuple[str, ...], int] = {}
        for has, value in self.shown(name, title, reference):
            events = value * (self.seconds if rate else 1)
            assert abs(events - round(events)) < 0.1, (title, has, events)
            if round(events):
                found[tuple(has[label] for label in labels)] = round(events)
        return found
