"""The row at the top: the golden signals and the objectives, of the whole service.

They are read from what monitoring/rules records wherever it does: one series each, however many
routes and instances there are.
"""

from typing import Any

from monitoring.grafana.generator.leads import ALL_REQUESTS, FAILED_REQUESTS
from monitoring.grafana.generator.levels import watched
from monitoring.grafana.generator.panels import BLUE, UNKNOWN, Panel, Row, graph, stat, steps
from monitoring.grafana.generator.promql import (
    DURATION,
    USERS,
    largest,
    quantile,
    recorded,
    select,
    total,
    while_up,
)
from monitoring.rules import slo
from monitoring.rules import thresholds as t
from monitoring.rules.objectives import OBJECTIVES, WINDOWS
from monitoring.rules.recording import HTTP_P95

LEFT = steps("critical", warning=0, ok=0.25)
"""Levels of a budget: below 0 the objective is missed."""
LINES_LEFT = steps("ok", critical=0, warning=0.25)
"""The same as lines of a graph, each in the colour of what begins below it."""
_WIDTH = 8
_THREADS = "vibebox_worker_threads"
BY_FACTOR = {
    "notice": min(window.factor for window in WINDOWS),
    "warning": max(window.factor for window in WINDOWS if window.severity == "warning"),
    "critical": max(window.factor for window in WINDOWS),
}
"""Levels of the speed at which a budget is used up in minutes: that at which it does not last, that
of the fastest warning, and that of the fastest page."""
_BUDGET = next(each.budget for each in OBJECTIVES if each.name == "availability")
FAILING = steps("ok", **{level: round(factor * _BUDGET, 9) for level, factor in BY_FACTOR.items()})
"""The same of a share of failed requests."""
_PROMISES = {objective.name: objective.promise for objective in OBJECTIVES}


def budget(title: str, objective: str, width: int = _WIDTH, down: str = "slo") -> Panel:
    """Return what is left of the budget of an objective."""
    return stat(
        title,
        width,
        while_up(f"min({recorded(slo.BUDGET, objective)})"),
        "left",
        "Share of what may fail in 30 days that is still left. The objective: "
        f"{_PROMISES[objective]}. Below 0 it is missed; what Prometheus has not seen of the 30 "
        "days counts as clean.",
        "percentunit",
        thresholds=LEFT,
        empty=UNKNOWN,
        down=down,
    )


def objectives(width: int = _WIDTH) -> tuple[Panel, Panel]:
    """Return both objectives, as the last two of a row."""
    return (
        budget("Availability budget", "availability", width),
        budget("Latency budget", "latency", width),
    )


def threads_busy(down: str | None = "telemetry", width: int = _WIDTH) -> Panel:
    """Return how full the fullest instance is."""
    busy, threads = (
        total(select(_THREADS, f'state="{state}"'), "instance") for state in ("busy", "total")
    )
    return stat(
        "Saturation (threads busy)",
        width,
        f"max({busy} / {threads})",
        "in use",
        "Share of the request threads that serve one, on the fullest instance. "
        f"RequestThreadsSaturated warns above {t.THREADS_RATIO}; then requests wait.",
        "percentunit",
        thresholds=watched(notice=0.7, RequestThreadsSaturated=t.THREADS_RATIO),
        down=down,
    )


def signals(here: str, width: int = _WIDTH) -> tuple[Panel, Panel, Panel]:
    """Return latency, traffic and errors, for the dashboard with this uid."""
    down = None if here == "api-performance" else "api-performance"
    return (
        stat(
            "Latency (p95, 5 min)",
            width,
            while_up(f"{largest(recorded(HTTP_P95))} >= 0"),
            "p95",
            "What 95 of 100 requests of the last 5 minutes took at most, of those that wait for no "
            f"container. HighAPILatency warns at {t.LATENCY_WARNING} s, VeryHighAPILatency pages "
            f"at {t.LATENCY_CRITICAL} s.",
            "s",
            thresholds=watched(
                HighAPILatency=t.LATENCY_WARNING, VeryHighAPILatency=t.LATENCY_CRITICAL
            ),
            down=down,
        ),
        stat(
            "Traffic (5 min)",
            width,
            while_up(_ASKED),
            "req/s",
            "Requests a second of the last 5 minutes that count for the objectives: all but "
            "probes.",
            "reqps",
            thresholds=BLUE,
            down=down,
        ),
        errors(width, down=None if here == "slo" else "slo"),
    )


_ASKED = total(recorded(slo.REQUESTS, "availability"))


ALERT_VALUE = "alert value"
"""Name of the curve of what the expression of an alert compares with its level."""
_LITTLE = 0.001
"""A duration that is short for any request, in seconds: shorter ones are drawn as it."""


def percentiles(title: str, width: int, *shares: int, **more: Any) -> Panel:
    """Return the course of percentiles of requests, and of single ones."""
    return graph(
        title,
        width,
        f"How long at most the fastest {_listed(shares)} of 100 requests took, over all routes "
        "but probes and streams; the alert value is the p95 of 5 minutes of those that wait for no "
        f"container, for which HighAPILatency warns at {t.LATENCY_WARNING} s and "
        f"VeryHighAPILatency pages at {t.LATENCY_CRITICAL} s. Dots are single requests: their ids "
        "are in the log, and their traces where there are any.",
        "s",
        *(
            (f"clamp_min({quantile(share / 100, DURATION, USERS)}, {_LITTLE})", f"p{share}")
            for share in shares
        ),
        (f"clamp_min({largest(recorded(HTTP_P95))}, {_LITTLE})", ALERT_VALUE),
        bounds=(_LITTLE, None),
        logarithmic=True,
        thresholds=watched(HighAPILatency=t.LATENCY_WARNING, VeryHighAPILatency=t.LATENCY_CRITICAL),
        exemplars=True,
        leads=ALL_REQUESTS,
        **more,
    )


def _listed(shares: tuple[int, ...]) -> str:
    return f"{', '.join(map(str, shares[:-1]))} and {shares[-1]}"


def errors(width: int = _WIDTH, down: str | None = "slo") -> Panel:
    """Return the share of failed requests."""
    return stat(
        "Errors (5xx, 5 min)",
        width,
        while_up(f"{total(recorded(slo.ERRORS, 'availability'))} / ({_ASKED} > 0)"),
        "5xx",
        "Share of the requests of the last 5 minutes that count for the objectives, answered with "
        "5xx. Its colours are those of burn rates: the budget does not last, lasts for ten days, "
        "or for two.",
        "percentunit",
        thresholds=FAILING,
        down=down,
        leads=FAILED_REQUESTS,
    )


def golden_signals(here: str) -> Row:
    """Return the row for the dashboard with this uid."""
    return Row(
        "Golden signals and objectives",
        (*signals(here), threads_busy(), *objectives()),
        added=True,
    )
