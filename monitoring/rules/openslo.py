"""Writes the objectives as an OpenSLO document (v1), for tools that read those.

One service and, for each objective, an SLO with its indicator, a ratio of requests over a rolling
period.
"""

from typing import Any

from monitoring.rules.expressions import select
from monitoring.rules.objectives import OBJECTIVES, PERIOD, Objective

API = "openslo/v1"
SERVICE = "vibebox"
WINDOW = "{{.window}}"
"""Where a reader of the document puts how far it looks back: sloth's way, as OpenSLO has none."""
_METHOD = "Occurrences"


def documents() -> list[dict[str, Any]]:
    """Return the documents of the file, in their order."""
    service = {
        "apiVersion": API,
        "kind": "Service",
        "metadata": {"name": SERVICE, "displayName": "VibeBox"},
        "spec": {"description": "Development environments in containers."},
    }
    return [service, *map(_slo, OBJECTIVES)]


def _slo(objective: Objective) -> dict[str, Any]:
    name = f"{SERVICE}-{objective.name}"
    return {
        "apiVersion": API,
        "kind": "SLO",
        "metadata": {"name": name, "displayName": objective.title},
        "spec": {
            "description": f"{objective.promise}.",
            "service": SERVICE,
            "indicator": {
                "metadata": {"name": f"{name}-ratio"},
                "spec": {"ratioMetric": _ratio(objective)},
            },
            "timeWindow": [{"duration": PERIOD, "isRolling": True}],
            "budgetingMethod": _METHOD,
            "objectives": [{"displayName": objective.title, "target": objective.good}],
        },
    }


def _ratio(objective: Objective) -> dict[str, Any]:
    """Return the indicator: good or bad requests, whichever are counted, of all."""
    total = _source(objective.total)
    if objective.passed is not None:
        return {"counter": True, "good": _source(objective.passed), "total": total}
    assert objective.failed is not None
    return {"counter": True, "bad": _source(objective.failed), "total": total}


def _source(series: tuple[str, ...]) -> dict[str, Any]:
    query = f"sum(increase({select(*series)}[{WINDOW}]))"
    return {"metricSource": {"type": "Prometheus", "spec": {"query": query}}}
