"""The row at the top: the golden signals and the objectives, of the whole service.

They are read from what monitoring/rules records wherever it does: one series each, however many
routes and instances there are.
"""

from monitoring.grafana.generator.leads import FAILED_REQUESTS
from monitoring.grafana.generator.levels import watched
from monitoring.grafana.generator.panels import BLUE, UNKNOWN, Panel, Row, stat, steps
from monitoring.grafana.generator.promql import largest, recorded, select, total, while_up
from monitoring.rules import slo
from monitoring.rules import thresholds as t
from monitoring.rules.objectives import OBJECTIVES
from monitoring.rules.recording import HTTP_P95

LEFT = steps("critical", warning=0, ok=0.25)
"""Levels of a budget: below 0 the objective is missed."""
LINES_LEFT = steps("ok", critical=0, warning=0.25)
"""The same as lines of a graph, each in the colour of what begins below it."""
FAILING = steps("ok", notice=0.001, warning=0.01, critical=0.05)
"""Levels of a share of failed requests; the first is what the objective leaves."""
_WIDTH = 8
_THREADS = "vibebox_worker_threads"
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


def _down(here: str, board: str) -> str | None:
    """Return a dashboard that a panel leads down to; none to the one that it stands on."""
    return None if here == board else board


def objectives() -> tuple[Panel, Panel]:
    """Return both objectives, as the last two of a row."""
    return (
        budget("Availability budget", "availability"),
        budget("Latency budget", "latency"),
    )


def threads_busy(down: str | None = "telemetry") -> Panel:
    """Return how full the fullest instance is."""
    busy, threads = (
        total(select(_THREADS, f'state="{state}"'), "instance") for state in ("busy", "total")
    )
    return stat(
        "Saturation (threads busy)",
        _WIDTH,
        f"max({busy} / {threads})",
        "in use",
        "Share of the request threads that serve one, on the fullest instance. "
        f"RequestThreadsSaturated warns above {t.THREADS_RATIO}; then requests wait.",
        "percentunit",
        thresholds=watched(notice=0.7, RequestThreadsSaturated=t.THREADS_RATIO),
        down=down,
    )


def golden_signals(here: str) -> Row:
    """Return the row for the dashboard with this uid."""
    asked = total(recorded(slo.REQUESTS, "availability"))
    return Row(
        "Golden signals and objectives",
        (
            stat(
                "Latency (p95, 5 min)",
                _WIDTH,
                while_up(f"{largest(recorded(HTTP_P95))} >= 0"),
                "p95",
                "What 95 of 100 requests took at most, of those that wait for no "
                f"container. HighAPILatency warns at {t.LATENCY_WARNING} s, VeryHighAPILatency "
                f"pages at {t.LATENCY_CRITICAL} s.",
                "s",
                thresholds=watched(
                    HighAPILatency=t.LATENCY_WARNING, VeryHighAPILatency=t.LATENCY_CRITICAL
                ),
                down=_down(here, "api-performance"),
            ),
            stat(
                "Traffic (5 min)",
                _WIDTH,
                while_up(asked),
                "req/s",
                "Requests a second that count for the objectives: all but probes.",
                "reqps",
                thresholds=BLUE,
                down=_down(here, "api-performance"),
            ),
            stat(
                "Errors (5xx, 5 min)",
                _WIDTH,
                while_up(f"{total(recorded(slo.ERRORS, 'availability'))} / ({asked} > 0)"),
                "5xx",
                "Share of the requests that count for the objectives, answered with 5xx.",
                "percentunit",
                thresholds=FAILING,
                down="slo",
                leads=FAILED_REQUESTS,
            ),
            threads_busy(),
            *objectives(),
        ),
        added=True,
    )
