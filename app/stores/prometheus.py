"""The Prometheus that watches the service: series, exemplars, rules."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from app.core.unreadable import UNREADABLE
from app.stores.http import Store

SETTING = "VIBEBOX_PROMETHEUS_URL"
JOB = "vibebox-backend"
"""The job of our series: one Prometheus watches many services. As in monitoring/prometheus."""
Labels = Mapping[str, str]
T = TypeVar("T")


@dataclass(frozen=True)
class Series:
    """One series of a result, and its value now."""

    labels: Labels
    value: float


@dataclass(frozen=True)
class Exemplar:
    """A request that a series names; `at` in seconds since 1970."""

    labels: Labels
    value: float
    at: float
    series: Labels


@dataclass(frozen=True)
class Firing:
    """An alert that Prometheus knows, with the labels of its own (no external ones)."""

    labels: Labels
    annotations: Labels
    starts_at: datetime
    value: float


@dataclass(frozen=True)
class Rule:
    """A rule: an alert with what fires of it, or a record."""

    name: str
    expression: str
    is_alert: bool
    firing: tuple[Firing, ...] = ()
    labels: Labels = field(default_factory=dict, hash=False)
    """What the rule itself adds to its series."""
    evaluated_at: float | None = None
    """When Prometheus last did, in seconds since 1970."""


@dataclass(frozen=True)
class Target:
    """What Prometheus scrapes; `trouble` is why it cannot, empty where it can or has not tried."""

    labels: Labels = field(hash=False)
    trouble: str


class PrometheusStore:
    """Asks it; all raise StoreUnavailableError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def query(self, expression: str, at: float | None = None) -> list[Series]:
        """Return the result of an instant query, without what is no number.

        at: the instant, in seconds since 1970; now, where it is not said.
        """
        when = {} if at is None else {"time": f"{at:.3f}"}
        return self._ask(_result, "/api/v1/query", query=expression, **when)

    def exemplars(self, selector: str, start: float, end: float) -> list[Exemplar]:
        """Return the exemplars of all series that match, in the order of time."""
        bounds = {"start": f"{start:.3f}", "end": f"{end:.3f}"}
        return self._ask(_exemplars, "/api/v1/query_exemplars", query=selector, **bounds)

    def rules(self) -> list[Rule]:
        """Return all rules, each alert with what fires of it now."""
        return self._ask(_rules, "/api/v1/rules")

    def firing(self) -> list[Firing]:
        """Return the alerts that fire."""
        return self._ask(_active, "/api/v1/alerts")

    def targets(self) -> list[Target]:
        """Return what it scrapes itself."""
        return self._ask(_targets, "/api/v1/targets", state="active")

    def alertmanagers(self) -> list[str]:
        """Return the addresses to which it sends alerts, whether or not somebody is there."""
        return self._ask(_alertmanagers, "/api/v1/alertmanagers")

    def _ask(self, read: Callable[[Any], T], path: str, **parameters: str) -> T:
        answer = self._store.json(path, parameters)
        try:
            return read(answer["data"])
        except UNREADABLE:
            raise self._store.strange() from None


def _result(data: Any) -> list[Series]:
    if data["resultType"] == "scalar":
        return _numbers([({}, data["result"])])
    return _numbers([(one["metric"], one["value"]) for one in data["result"]])


def _exemplars(data: Any) -> list[Exemplar]:
    found = [
        Exemplar(
            _texts(one["labels"]),
            float(one["value"]),
            float(one["timestamp"]),
            _texts(series["seriesLabels"]),
        )
        for series in data
        for one in series["exemplars"]
    ]
    found = [one for one in found if math.isfinite(one.value) and math.isfinite(one.at)]
    return sorted(found, key=lambda one: one.at)


def _targets(data: Any) -> list[Target]:
    return [
        Target(_texts(one["labels"]), str(one.get("lastError") or ""))
        for one in data["activeTargets"]
    ]


def _alertmanagers(data: Any) -> list[str]:
    return [str(one["url"]) for one in data["activeAlertmanagers"]]


def _rules(data: Any) -> list[Rule]:
    return [_rule(one) for group in data["groups"] for one in group["rules"]]


def _rule(told: Any) -> Rule:
    is_alert = told["type"] == "alerting"
    firing = [one for one in told.get("alerts") or () if one["state"] == "firing"]
    labels = _texts(told.get("labels") or {})
    evaluated = told.get("lastEvaluation")
    # Before the first time it is the year 1.
    at = datetime.fromisoformat(evaluated).timestamp() if evaluated else 0.0
    return Rule(
        told["name"],
        told["query"],
        is_alert,
        tuple(map(_firing, firing)),
        labels,
        at if at > 0 else None,
    )


def _active(data: Any) -> list[Firing]:
    return [_firing(one) for one in data["alerts"] if one["state"] == "firing"]


def _firing(told: Any) -> Firing:
    began = datetime.fromisoformat(told["activeAt"]).astimezone(UTC)
    return Firing(
        _texts(told["labels"]), _texts(told.get("annotations") or {}), began, float(told["value"])
    )


def _numbers(pairs: list[tuple[Any, Any]]) -> list[Series]:
    found = [Series(_texts(labels), float(value[1])) for labels, value in pairs]
    return [one for one in found if not math.isnan(one.value)]


def _texts(pairs: Any) -> Labels:
    return {str(name): str(value) for name, value in pairs.items()}
