"""Dashboard "VibeBox - Service level objectives": what may still fail, and how fast it is used up.

It reads what monitoring/rules records, which knows jobs and no instances: an objective is that of
the whole service.
"""

from monitoring.grafana.generator.golden import LEFT, LINES_LEFT, budget
from monitoring.grafana.generator.leads import FAILED_REQUESTS
from monitoring.grafana.generator.levels import watched
from monitoring.grafana.generator.panels import (
    NOTHING,
    Board,
    Panel,
    Query,
    Row,
    events,
    graph,
    stat,
    steps,
    timeline,
)
from monitoring.grafana.generator.promql import (
    RANGE,
    in_bars,
    increase,
    largest,
    quantile,
    rate,
    recorded,
    select,
    total,
    while_up,
)
from monitoring.grafana.generator.states import FAILS
from monitoring.rules import slo
from monitoring.rules import thresholds as t
from monitoring.rules.objectives import OBJECTIVES, WINDOWS


def _factors(severity: str) -> list[float]:
    """Return the burn rates at which alerts of a severity begin, the least first."""
    return sorted(window.factor for window in WINDOWS if window.severity == severity)


_PAGES, _WARNS = _factors("critical"), _factors("warning")
# Over the last hour: what pages within it. What warns takes a day.
_HOURLY = steps("ok", notice=max(_WARNS), critical=max(_PAGES))
# Over any window: the factors at which the alerts on budgets begin.
_BURNING = steps("ok", notice=min(_WARNS), warning=max(_WARNS), critical=min(_PAGES))
_ALL_LINES = (*_BURNING, *steps("critical", critical=max(_PAGES))[1:])
_WINDOWS = ("5m", "1h", "6h", "1d", "3d")


def _burn(window: str, objective: str = "") -> str:
    return recorded(slo.burn_rate(window), objective)


def _burns(title: str, objective: str) -> Panel:
    return stat(
        title,
        6,
        while_up(largest(_burn("1h", objective))),
        "burn rate",
        "How many times faster than it lasts for 30 days the budget was used up in the last hour.",
        "none",
        decimals=2,
        thresholds=_HOURLY,
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
        # Faster, it pages either way; the legend has the number.
        bounds=(0, 20),
        decimals=2,
        thresholds=_ALL_LINES,
        # The legend has all five.
        height=13,
        down="api-performance",
    )


def _average(name: str) -> str:
    return total(f"avg_over_time({recorded(name)}[{RANGE}])", "slo")


_BAD = f"{_average(slo.ERRORS)} / ({_average(slo.REQUESTS)} > 0)"
_ALLOWED = " or ".join(
    f'label_replace(vector({objective.budget}), "slo", "{objective.name}", "", "")'
    for objective in OBJECTIVES
)
_BUDGETS = Row(
    "Error budget",
    (
        budget("Availability budget", "availability", 6, "api-performance"),
        budget("Latency budget", "latency", 6, "api-performance"),
        _burns("Availability burn rate", "availability"),
        _burns("Latency burn rate", "latency"),
        graph(
            "Error budget left",
            24,
            "The share that is left of 30 days, at each moment.",
            "percentunit",
            (f"min by (slo) ({recorded(slo.BUDGET)})", "{{slo}}"),
            # Deeper it is lost either way, and the rest of the course would look flat.
            bounds=(-0.25, 1),
            thresholds=LINES_LEFT,
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
            "shown (bad) and how much that is of what it allows (of limit), and the burn rates "
            "that the alerts look at.",
            (
                Query(f"min by (slo) ({recorded(slo.BUDGET)})", "budget left"),
                Query(_BAD, "bad"),
                Query(f"({_BAD}) / on (slo) ({_ALLOWED})", "of limit"),
                *(Query(largest(_burn(window), "slo"), f"burn {window}") for window in _WINDOWS),
            ),
            "none",
            thresholds=_BURNING,
            snapshot=True,
            columns=(
                ("budget", "percentunit"),
                ("bad", "percentunit"),
                ("of limit", "percentunit"),
                *((f"burn {window}", "none") for window in _WINDOWS),
            ),
            levels=(("budget", LEFT), ("of limit", _BURNING)),
            digits=(("of limit", 0), *((f"burn {window}", 2) for window in _WINDOWS)),
            headings=(("slo", "objective"),),
            height=6,
            empty=NOTHING,
            down="api-performance",
        ),
        graph(
            "Requests that count",
            12,
            "A second, by objective. That of latency leaves out what waits for a container.",
            "reqps",
            (total(recorded(slo.REQUESTS), "slo"), "{{slo}}"),
            bounds=(0, None),
            down="api-performance",
        ),
        graph(
            "Requests that failed the objective",
            12,
            "A second, by objective: answers of 500 and above, and answers later than 0.5 s.",
            "reqps",
            (total(recorded(slo.ERRORS), "slo"), "{{slo}}"),
            bounds=(0, None),
            down="api-performance",
            leads=FAILED_REQUESTS,
        ),
    ),
)

_AGE, _BETWEEN = (
    select(f"vibebox_probe_{what}_seconds") for what in ("last_success_age", "interval")
)
_PROBE = Row(
    "Synthetic user",
    (
        budget("Synthetic user budget left", "probe", 8, "environments"),
        stat(
            "Rounds since a success",
            8,
            while_up(f"{largest(_AGE)} / {largest(_BETWEEN)}"),
            "rounds",
            "How many rounds of the synthetic user would have come since one came through. It "
            "signs in, creates, starts, uses and deletes an environment by the public address. "
            f"SyntheticUserFailing pages beyond {t.PROBE_ROUNDS}. Nothing is shown where "
            "VIBEBOX_PROBE is off.",
            "none",
            decimals=1,
            thresholds=watched(SyntheticUserFailing=t.PROBE_ROUNDS),
        ),
        stat(
            "Failed rounds",
            8,
            while_up(total(increase("vibebox_probe_rounds_total", 'outcome="failure"'))),
            "failed",
            "Rounds of the synthetic user in the time shown that did not come through.",
            "none",
            decimals=0,
            thresholds=steps("ok", notice=1),
        ),
        timeline(
            "Steps of the synthetic user",
            24,
            "Whether the last round failed at the step.",
            (largest(select("vibebox_probe_failed_step", 'step!="none"'), "step"), "{{step}}"),
            mappings=FAILS,
            thresholds=steps("ok", critical=1),
            height=8,
        ),
        graph(
            "Time of each step",
            16,
            "p95, of rounds that failed too; lines lead from round to round, over an hour at most.",
            "s",
            (quantile(0.95, "vibebox_probe_step_duration_seconds", by="step"), "{{step}}"),
            bounds=(0, None),
            bridged=True,
        ),
        events(
            "Failed rounds by step",
            8,
            "By the step at which they failed.",
            "short",
            (in_bars(total(rate("vibebox_probe_failures_total"), "step")), "{{step}}"),
            whole=in_bars(total(rate("vibebox_probe_failures_total"))),
        ),
    ),
    added=True,
)

BOARD = Board(
    "slo",
    "VibeBox - Service level objectives",
    "How much of the error budget is left, and how fast it is used up.",
    (_BUDGETS, _RATES, _OBJECTIVES, _PROBE),
)
