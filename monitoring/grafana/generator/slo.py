"""Dashboard "VibeBox - Service level objectives": what may still fail, and how fast it is used up.

It reads what monitoring/rules records, which knows jobs and no instances: an objective is that of
the whole service.
"""

from collections.abc import Iterator

from app.metrics.catalogue import PROBE_STEPS
from monitoring.grafana.generator.golden import (
    BY_FACTOR,
    LEFT,
    LINES_LEFT,
    budget,
    signals,
    threads_busy,
)
from monitoring.grafana.generator.leads import FAILED_REQUESTS
from monitoring.grafana.generator.levels import Step, Thresholds, watched
from monitoring.grafana.generator.palette import SEVERITIES, WHOLE
from monitoring.grafana.generator.panels import (
    BLUE,
    NOTHING,
    UNKNOWN,
    Board,
    Panel,
    Query,
    Row,
    bars,
    events,
    graph,
    stat,
    steps,
    timeline,
)
from monitoring.grafana.generator.promql import (
    JOB,
    RANGE,
    all_in_bars,
    in_bars,
    increase,
    largest,
    now,
    quantile,
    recorded,
    select,
    total,
    while_up,
)
from monitoring.grafana.generator.states import FAILS, ROUND
from monitoring.rules import slo
from monitoring.rules import thresholds as t
from monitoring.rules.objectives import OBJECTIVES, WINDOWS


def _burning(window: str) -> Thresholds:
    """Return the levels of a burn rate over this window, up to that of the alert that looks at it.

    Of a window that several alerts look at, the faster one counts.
    """
    alert = next(each for each in WINDOWS if window in (each.long, each.short))
    below = {level: factor for level, factor in BY_FACTOR.items() if factor < alert.factor}
    return steps("ok", **below, **{alert.severity: alert.factor})


_ALL_LINES = (
    *steps("ok", notice=BY_FACTOR["notice"], warning=BY_FACTOR["warning"]),
    *(
        Step(SEVERITIES[window.severity], window.factor)
        for window in reversed(WINDOWS)
        if window.severity == "critical"
    ),
)
# Nobody is paged for a burn rate of the synthetic user, nor for that of the time shown.
_UNPAGED = steps("ok", notice=BY_FACTOR["notice"], warning=BY_FACTOR["warning"])
_PAGED = "|".join(objective.name for objective in OBJECTIVES if objective.burns)
_LEFT, _BAD, _OF_LIMIT = "left 30d", "failed", "of limit"
_LITTLE = 0.1
"""A burn rate that uses up a tenth of the budget in 30 days: smaller ones are drawn as it."""
_WINDOWS = ("5m", "1h", "6h", "1d", "3d")
"""Those of the tables. Beside each of 6 hours and more an alert looks at a shorter one."""
_LONG_AND_SHORT = tuple(window for each in WINDOWS for window in (each.long, each.short))


def _burn(window: str, objective: str = "") -> str:
    return recorded(slo.burn_rate(window), objective)


def _burns(title: str, objective: str, levels: Thresholds, down: str) -> Panel:
    return stat(
        title,
        8,
        while_up(largest(_burn("1h", objective))),
        "burn rate",
        "How many times faster than it lasts for 30 days the budget was used up in the last hour.",
        "none",
        decimals=2,
        thresholds=levels,
        down=down,
    )


def _at_foot(window: str, objective: str) -> str:
    """Return a burn rate whose least value is that at the foot of the axis."""
    return f"clamp_min({largest(_burn(window, objective))}, {_LITTLE})"


def _rises(window: str, objective: str) -> str:
    """Return something where a burn rate was above the foot in the time shown."""
    return f"{largest(f'max_over_time({_burn(window, objective)}[{RANGE}] @ end())')} > {_LITTLE}"


def _courses(objective: str) -> Iterator[tuple[str, str]]:
    """Yield each burn rate that rose in the time shown, and where none did, that of all."""
    windows = tuple(dict.fromkeys(_LONG_AND_SHORT))
    for window in windows:
        yield f"{_at_foot(window, objective)} and on () ({_rises(window, objective)})", window
    none = " or ".join(f"({_rises(window, objective)})" for window in windows)
    # On a good day it is at the foot of the axis, and can be seen to be there.
    yield f"{_at_foot(windows[0], objective)} unless on () ({none})", WHOLE


def _course(title: str, objective: str) -> Panel:
    return graph(
        title,
        12,
        "Burn rate over windows of several lengths; at 1 the budget lasts for exactly 30 days. An "
        "alert needs a long window and a short one: 14.4 over 1 h and 5 min, 6 over 6 h and "
        "30 min, 3 over 1 d and 2 h, 1 over 3 d and 6 h. Those that were never above "
        f"{_LITTLE} in the time shown are left out; all: none was.",
        "none",
        *_courses(objective),
        # To where every request fails.
        bounds=(_LITTLE, 1000),
        logarithmic=True,
        decimals=2,
        thresholds=_ALL_LINES,
        # The legend has seven at most.
        height=18,
        down="api-performance",
    )


def _of(slos: str, name: str) -> str:
    """Return what a rule records of these objectives, of which a pattern says the names."""
    return f'{name}{{{JOB},slo=~"{slos}"}}'


def _named(expression: str) -> str:
    """Return the same by the name that the synthetic user has elsewhere."""
    return f'label_replace({expression}, "slo", "synthetic user", "slo", "probe")'


def _average(name: str, slos: str) -> str:
    return total(f"avg_over_time({_of(slos, name)}[{RANGE}])", "slo")


_ALLOWED = " or ".join(
    f'label_replace(vector({objective.budget}), "slo", "{objective.name}", "", "")'
    for objective in OBJECTIVES
)


def _table(title: str, slos: str, description: str, paged: bool, height: int) -> Panel:
    """Return a line for each of these objectives; red where somebody is paged for them."""
    bad = f"{_average(slo.ERRORS, slos)} / ({_average(slo.REQUESTS, slos)} > 0)"
    return Panel(
        title,
        "table",
        24,
        description,
        (
            Query(_named(f"min by (slo) ({_of(slos, slo.BUDGET)})"), "budget left"),
            Query(_named(bad), _BAD),
            Query(_named(f"({bad}) / on (slo) ({_ALLOWED})"), _OF_LIMIT),
            *(
                Query(_named(largest(_of(slos, slo.burn_rate(window)), "slo")), f"burn {window}")
                for window in _WINDOWS
            ),
        ),
        "none",
        snapshot=True,
        columns=(
            (_LEFT, "percentunit"),
            (_BAD, "percentunit"),
            (_OF_LIMIT, "percentunit"),
            *((f"burn {window}", "none") for window in _WINDOWS),
        ),
        levels=(
            (_LEFT, LEFT),
            (_OF_LIMIT, _UNPAGED),
            *((f"burn {each}", _burning(each) if paged else _UNPAGED) for each in _WINDOWS),
        ),
        digits=((_OF_LIMIT, 0), *((f"burn {window}", 2) for window in _WINDOWS)),
        headings=(("slo", "objective"),),
        height=height,
        worst_is_least=True,
        empty=NOTHING,
        down="api-performance" if paged else "environments",
    )


_SIGNALS = Row("Golden signals", (*signals("slo", 12), threads_busy(width=12)), added=True)
_BUDGETS = Row(
    "Error budget",
    (
        budget("Availability budget", "availability", 8, "api-performance"),
        budget("Latency budget", "latency", 8, "api-performance"),
        budget("Synthetic user budget left", "probe", 8, "environments"),
        _burns("Availability burn rate (1 h)", "availability", _burning("1h"), "api-performance"),
        _burns("Latency burn rate (1 h)", "latency", _burning("1h"), "api-performance"),
        _burns("Synthetic user burn rate (1 h)", "probe", _UNPAGED, "environments"),
        graph(
            "Error budget left",
            24,
            "The share that is left of 30 days, at each moment.",
            "percentunit",
            (_named(f"min by (slo) ({recorded(slo.BUDGET)})"), "{{slo}}"),
            # Deeper it is lost either way, and the rest of the course would look flat.
            bounds=(-0.25, 1),
            thresholds=LINES_LEFT,
            worst_is_least=True,
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
        _table(
            "Objectives",
            _PAGED,
            "For each objective what is left of 30 days, the share of requests that failed it in "
            "the time shown and how much that is of what it allows, and the burn rates that alerts "
            "look at; those of 30 min and 2 h are in the graphs.",
            paged=True,
            height=5,
        ),
        _table(
            "Objective of the synthetic user",
            "probe",
            "The same of its rounds. No alert looks at its burn rates, so none is red: "
            "SyntheticUserFailing pages for rounds in a row.",
            paged=False,
            height=4,
        ),
        graph(
            "Requests that count",
            12,
            "A second, by objective. That of latency leaves out what waits for a container.",
            "reqps",
            (total(_of(_PAGED, slo.REQUESTS), "slo"), "{{slo}}"),
            bounds=(0, None),
            down="api-performance",
        ),
        graph(
            "Requests that failed the objective",
            12,
            "A second, by objective: answers of 500 and above, and answers later than 0.5 s.",
            "reqps",
            (total(_of(_PAGED, slo.ERRORS), "slo"), "{{slo}}"),
            (total(_of(_PAGED, slo.ERRORS)), WHOLE),
            bounds=(0, None),
            down="api-performance",
            leads=FAILED_REQUESTS,
        ),
    ),
)

_AGE, _BETWEEN = (
    select(f"vibebox_probe_{what}_seconds") for what in ("last_success_age", "interval")
)
_STEP_P95 = quantile(0.95, "vibebox_probe_step_duration_seconds", by="step", over=RANGE)
_FAILED_STEP = "vibebox_probe_failed_step"
_AT_A_STEP = largest(select(_FAILED_STEP, 'step!="none"'))


def _fared() -> Iterator[tuple[str, str]]:
    """Yield for each step whether the last round failed at it; nothing if it ended before."""
    for number, step in enumerate(PROBE_STEPS):
        found = largest(select(_FAILED_STEP, f'step="{step}"'))
        if earlier := "|".join(PROBE_STEPS[:number]):
            ended = largest(select(_FAILED_STEP, f'step=~"{earlier}"'))
            found = f"{found} unless on () ({ended} == 1)"
        yield found, step


_TOO_LONG = f"({largest(_AGE)} > bool {t.PROBE_ROUNDS} * {largest(_BETWEEN)})"
_PROBE = Row(
    "Synthetic user",
    (
        stat(
            "Last round",
            8,
            while_up(f"clamp_max({_AT_A_STEP} + 2 * {_TOO_LONG}, 2)"),
            "last round",
            "Whether the last round of the synthetic user came through all steps, and whether "
            "SyntheticUserFailing pages because none has for too long. Unknown where VIBEBOX_PROBE "
            "is off.",
            "none",
            thresholds=steps("ok", warning=1, critical=2),
            mappings=ROUND,
            empty=UNKNOWN,
        ),
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
            "How the last round fared at each step, in their order. Where there is no bar it did "
            "not come so far, or nobody told.",
            *_fared(),
            mappings=FAILS,
            thresholds=steps("ok", warning=1),
            height=8,
        ),
        bars(
            "Time of each step",
            16,
            f"sort_desc({now(_STEP_P95)})",
            "{{step}}",
            "p95 over the time shown, of rounds that failed too. Below 50 ms it is an estimate: "
            "the first bucket has all that took no longer.",
            "s",
            thresholds=BLUE,
            height=8,
        ),
        events(
            "Failed rounds by step",
            8,
            "By the step at which they failed.",
            "short",
            (in_bars("vibebox_probe_failures_total", by="step"), "{{step}}"),
            whole=all_in_bars("vibebox_probe_failures_total", of="step"),
            height=8,
        ),
    ),
    added=True,
)

BOARD = Board(
    "slo",
    "VibeBox - Service level objectives",
    "How much of the error budget is left, and how fast it is used up.",
    (_SIGNALS, _BUDGETS, _RATES, _OBJECTIVES, _PROBE),
)
