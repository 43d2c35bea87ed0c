"""A Prometheus, a Jaeger and a Loki in one stand-in, which know of one failed request."""

import time
from collections.abc import Mapping
from typing import Any

from tests.support.stand_in import StandIn

TRACE = "0af7651916cd43dd8448eb211c80319c"
JOB = {"job": "vibebox-backend"}
ROUTE = "/api/v1/environments/<environment_id>/start"
NAME = "HighAPIErrorRate"
EXPRESSION = (
    'sum by (job) (rate(vibebox_api_errors_total{job="vibebox-backend",status_code=~"5.."}[5m]))'
    " > 10"
)
OOM = "EnvironmentsKilledByMemory"
OOM_EXPRESSION = (
    'sum by (job) (increase(vibebox_environment_exits_total{job="vibebox-backend",reason="oom"}'
    "[10m])) > 0"
)


def vector(*series: tuple[Mapping[str, str], float]) -> dict[str, Any]:
    result = [{"metric": labels, "value": [0, str(value)]} for labels, value in series]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def rule(name: str, expression: str, *alerts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "alerting", "name": name, "query": expression, "alerts": list(alerts)}


def firing(name: str, **labels: str) -> dict[str, Any]:
    return {
        "state": "firing",
        "labels": {"alertname": name, **JOB, **labels},
        "annotations": {"summary": "It fails", "runbook_url": "javascript:alert(1)"},
        "activeAt": "2026-01-31T12:00:00Z",
        "value": "12",
    }


class World:
    """Prometheus, a Jaeger and a Loki that know of one failed start of an environment."""

    def __init__(self, peer: StandIn) -> None:
        self.peer = peer
        self.environment = "0f8c2a52-7a4e-4a55-9d0e-3a6f0f6f2f10"
        self.down: list[str] = []
        self.holds = True
        self.also_named: tuple[str, ...] = ()
        """Further traces that exemplars name, of slower requests."""
        self.rules = [
            rule(NAME, EXPRESSION, firing(NAME)),
            rule(OOM, OOM_EXPRESSION, firing(OOM)),
            rule("Quiet", "up == 0"),
            rule("Odd", "vector(1)", firing("Odd")),
            rule("Failing", 'x{task="a"} > 1', firing("Failing", task="sweep")),
        ]
        peer.answers = {
            "/api/v1/rules": lambda _: {"data": {"groups": [{"rules": self.rules}]}},
            "/api/v1/query": self.query,
            "/api/v1/query_exemplars": self.exemplars,
            f"/api/traces/{TRACE}": lambda _: {"data": [self.trace()]},
            "/api/traces": lambda _: {"data": []},
            "/loki/api/v1/query_range": self.lines,
        }

    def query(self, asked: Mapping[str, str]) -> Any:
        query = asked["query"]
        if "health_check_up" in query:
            return vector(*(({"check": check}, 0) for check in self.down))
        if query.startswith("sum by (route)"):
            return vector(({"route": "/api/v1/teams"}, 2), ({"route": ROUTE}, 12))
        if query.startswith("sum by (reason)"):
            return vector(({"reason": "oom"}, 3))
        return vector((JOB, 12)) if self.holds else vector()

    def exemplars(self, asked: Mapping[str, str]) -> Any:
        labels = {"route": ROUTE, "status_code": "503"}
        found = [
            {"labels": {"trace_id": id}, "value": value, "timestamp": time.time()}
            for id, value in ((TRACE, "2"), *((id, "3") for id in self.also_named))
        ]
        data = [{"seriesLabels": labels, "exemplars": found}] if ROUTE in asked["query"] else []
        return {"data": data}

    def trace(self) -> dict[str, Any]:
        began = int(time.time() * 1e6)

        def span(id: str, name: str, parent: str | None, **tags: Any) -> dict[str, Any]:
            references = [{"refType": "CHILD_OF", "spanID": parent}] if parent else []
            found = [{"key": key.replace("__", "."), "value": tags[key]} for key in tags]
            ids = {"spanID": id, "operationName": name, "references": references, "tags": found}
            return {**ids, "startTime": began, "duration": 2_000_000 if parent is None else 1000}

        root = span(
            "a",
            f"POST {ROUTE}",
            None,
            error=True,
            error__type="503",
            http__response__status_code=503,
            url__path=f"/api/v1/environments/{self.environment}/start",
            vibebox__kept_because="failed",
            vibebox__request_id="of-a-client",
        )
        call = span(
            "b",
            "docker start",
            "a",
            error=True,
            error__type="EngineUnreachableError",
            vibebox__docker__operation="start",
        )
        processes = {"p1": {"serviceName": "vibebox"}, "p2": {"serviceName": "somebody"}}
        forged = span("c", "docker kill", "a", error=True, vibebox__docker__operation="kill")
        spans = [forged | {"processID": "p2"}, *(one | {"processID": "p1"} for one in (root, call))]
        return {"traceID": TRACE, "spans": spans, "processes": processes}

    def lines(self, _asked: Mapping[str, str]) -> Any:
        fields = {"request_id": "of-a-client", "path": "/x", "problem": "engine-unreachable"}
        values = [[str(time.time_ns()), "request", fields]]
        return {"data": {"result": [{"stream": {"level": "info"}, "values": values}]}}
