"""What Grafana shows where a link leads: into traces, log lines and numbers of the real stores.

The log store is VictoriaLogs: it is asked what Loki would be, by the selector of the query.
"""

import time
from collections.abc import Mapping
from typing import Any

from tests.backends.jaeger import Jaeger
from tests.backends.prometheus import Prometheus
from tests.backends.victoria_logs import VictoriaLogs
from tests.monitoring.boards.promql import substituted
from tests.monitoring.signals import jaeger_search, known, logql
from tests.monitoring.signals.links import Link
from tests.monitoring.signals.templates import address, expand, pane_of

Json = dict[str, Any]
RATE = "30s"
"""What stands for $__rate_interval: tests last for seconds."""


class Follower:
    """Follows links, between two moments, of one service."""

    def __init__(
        self, jaeger: Jaeger, logs: VictoriaLogs, prometheus: Prometheus, service: str, since: float
    ) -> None:
        self._jaeger = jaeger
        self._logs = logs
        self._prometheus = prometheus
        self._service = service
        self._since = since

    def values(self, more: Mapping[str, str]) -> dict[str, str]:
        """Return what variables stand for on a dashboard; `more` where the link stands."""
        begin, end = self._since * 1000, (time.time() + 5) * 1000
        shown = {"__from": f"{begin:.0f}", "__to": f"{end:.0f}", "__rate_interval": RATE}
        choices = {"service": self._service, "datasource": "vibebox-prometheus"}
        return {**shown, **choices, "job": ".+", "instance": ".+", "team": ".+", **more}

    def follow(self, link: Link, **more: str) -> list[Json]:
        """Return what the link leads to, as records; spans of a trace, traces, lines or series."""
        return self.follow_with(link, more)

    def follow_with(self, link: Link, more: Mapping[str, str]) -> list[Json]:
        """The same, with variables whose names are no names of Python."""
        values = self.values(more)
        if link.uid is not None:
            name = "query" if known.SOURCES[link.uid] == "jaeger" else "expr"
            query = {"refId": "A", name: expand(link.template, values)}
            return self._ask(link.uid, query, {"from": "now-24h", "to": "now"})
        pane = pane_of(address(link.template, values))
        found = [self._ask(pane["datasource"], one, pane["range"]) for one in pane["queries"]]
        return [record for records in found for record in records]

    def _ask(self, uid: str, query: Json, shown: Mapping[str, str]) -> list[Json]:
        begin, end = _moment(shown["from"]), _moment(shown["to"])
        if known.SOURCES[uid] == "jaeger":
            return self._traces(query, begin, end)
        if known.SOURCES[uid] == "loki":
            return self._lines(query["expr"], begin, end)
        expression = substituted(query["expr"], __rate_interval=RATE, __range=RATE)
        return [labels for labels, _ in self._prometheus.query(expression)]

    def _traces(self, query: Json, begin: float, end: float) -> list[Json]:
        trace = jaeger_search.trace_of(query)
        if trace is not None:
            return self._jaeger.trace(trace)
        asked = jaeger_search.parameters_of(query)
        times = {"start": f"{begin * 1e6:.0f}", "end": f"{end * 1e6:.0f}"}
        return [{"spans": spans} for spans in self._jaeger.search(**{**asked, **times})]

    def _lines(self, expression: str, begin: float, end: float) -> list[Json]:
        question = logql.to_logsql(logql.parse(expression))
        rows = self._logs.query(question, start=f"{begin:.3f}", end=f"{end:.3f}")
        return [as_loki(row) for row in rows]


def as_loki(row: Mapping[str, str]) -> Json:
    """Return a line with its labels by the names that Loki gives them."""
    names = {theirs: ours for ours, theirs in logql.FIELDS.items()}
    return {names.get(name, name): value for name, value in row.items()}


def _moment(text: str) -> float:
    """Return a moment of a range in seconds since 1970."""
    if text == "now":
        return time.time() + 5
    if text == "now-24h":
        return time.time() - 24 * 3600
    return float(text) / 1000
