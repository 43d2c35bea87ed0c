"""Dashboard "VibeBox - Service level objectives": what may still fail, and how fast it is used up.

It reads what monitoring/rules records, which knows jobs and no instances: an objective is that of
the whole service.
"""

from monitoring.grafana.generator.leads import FAILED_REQUESTS
from monitoring.grafana.generator.panels import (
    UNKNOWN,
    Board,
    Panel,
    Query,
    Row,
    graph,
    stat,
    steps,
)
from monitoring.grafana.generator.promql import RANGE, largest, total, while_up

_BUDGET = "vibebox:slo_budget:remaining_ratio30d"
_ERRORS, _REQUESTS = "vibebox:slo_errors:rate5m", "vibebox:slo_requests:rate5m"
_LEFT = steps("red", orange=0, green=0.25)
# The factors at which AvailabilityBudgetBurnSlow and -Fast, and their like of latency, begin.
_BURNING = steps("green", yellow=1, orange=3, red=6)
_WINDOWS = ("5m", "1h", "6h", "1d", "3d")


def _recorded(name: str, objective: str = "") -> str:
    matchers = ['job=~"$job"', *([f'slo="{objective}"'] if objective else [])]
    return f"{name}{{{','.join(matchers)}}}"


def _burn(window: str, objective: str = "") -> str:
    return _recorded(f"vibebox:slo_errors:burnrate{window}", objective)


def _left(title: str, objective: str, promise: str) -> Panel:
    return stat(
        title,
        6,
        while_up(f"min({_recorded(_BUDGET, objective)})"),
        "left",
        f"Share of what may fail in 30 days that is still left. The objective: {promise}. Below 0 "
        "it is missed; what Prometheus has not seen of the 30 days counts as clean.",
        "percentunit",
        thresholds=_LEFT,
        empty=UNKNOWN,
        down="api-performance",
    )


def _burns(title: str, objective: str) -> Panel:
    return stat(
        title,
        6,
        while_up(largest(_burn("1h", objective))),
        "burn rate",
        "How many times faster than it lasts for 30 days the budget was used up in the last hour.",
        "none",
        thresholds=_BURNING,
        down="api-performance",
    )


def _course(title: str, objective: str) -> Panel:
    curves = ((largest(_burn(window, objective)), window) for window in _WINDOWS)
    return graph(
        title,
        12,
        "Burn rate over windows of several lengths; at 1 the budget lasts for exactly 30 days. An "
        "alert needs a long window and a short one: 14.4 over 1 h and 5 min, 6 over 6 h and "
        "30 min, 3 over 1 d and 2 h, 1 over 3 d and 6 h.",
        "none",
        *curves,
        bounds=(0, None),
        thresholds=_BURNING,
        down="api-performance",
    )


def _average(name: str) -> str:
    return total(f"avg_over_time({_recorded(name)}[{RANGE}])", "slo")


_BUDGETS = Row(
    "Error budget",
    (
        _left(
            "Availability budget left",
            "availability",
            "99.9 % of requests answered without a 5xx",
        ),
        _left(
            "Latency budget left",
            "latency",
            "99 % of requests that wait for no container answered within 0.5 s",
        ),
        _burns("Availability burn rate", "availability"),
        _burns("Latency burn rate", "latency"),
        graph(
            "Error budget left",
            24,
            "The share that is left of 30 days, at each moment.",
            "percentunit",
            (f"min by (slo) ({_recorded(_BUDGET)})", "{{slo}}"),
            # Deeper it is lost either way, and the rest of the course would look flat.
            bounds=(-1, 1),
            thresholds=_LEFT,
        ),
    ),
)
_RATES = Row(
    "Burn rates",
    (
        _course("Availability burn rates", "availability"),
        _course("Latency burn rates", "latency"),
    ),
)
_OBJECTIVES = Row(
    "By objective",
    (
        Panel(
            "Objectives",
            "table",
            24,
            "For each objective what is left of 30 days, the share of bad requests in the time "
            "shown, and the burn rates that the alerts look at.",
            (
                Query(f"min by (slo) ({_recorded(_BUDGET)})", "budget left"),
                Query(f"{_average(_ERRORS)} / ({_average(_REQUESTS)} > 0)", "bad"),
                *(Query(largest(_burn(window), "slo"), f"burn {window}") for window in _WINDOWS),
            ),
            "none",
            thresholds=_BURNING,
            snapshot=True,
            columns=(
                ("budget left", "percentunit"),
                ("bad in the time shown", "percentunit"),
                *((f"burn {window}", "none") for window in _WINDOWS),
            ),
            height=5,
            down="api-performance",
        ),
        graph(
            "Requests that count",
            12,
            "A second, by objective. That of latency leaves out what waits for a container.",
            "reqps",
            (total(_recorded(_REQUESTS), "slo"), "{{slo}}"),
            bounds=(0, None),
            down="api-performance",
        ),
        graph(
            "Requests that failed the objective",
            12,
            "A second, by objective: answers of 500 and above, and answers later than 0.5 s.",
            "reqps",
            (total(_recorded(_ERRORS), "slo"), "{{slo}}"),
            bounds=(0, None),
            down="api-performance",
            leads=FAILED_REQUESTS,
        ),
    ),
)

BOARD = Board(
    "slo",
    "VibeBox - Service level objectives",
    "How much of the error budget is left, and how fast it is used up.",
    (_BUDGETS, _RATES, _OBJECTIVES),
)
