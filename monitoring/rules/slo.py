"""Makes recording rules and alerts of the table of objectives and windows.

A burn rate over a window is the share of that window's budget that is gone. What Prometheus has not
seen of the window counts as clean: the first hour of a new one would else be taken for a month.
"""

from collections.abc import Callable, Iterator

from monitoring.rules.expressions import OF_JOB, both, either, increases, rates, select
from monitoring.rules.objectives import (
    OBJECTIVES,
    PERIOD,
    RECORDED,
    STEPS,
    WINDOWS,
    Objective,
    Window,
)
from monitoring.rules.rule import Alert, Group, Record
from monitoring.rules.thresholds import BUDGET_FLOOR

_LONG = tuple(dict.fromkeys(it.long for it in WINDOWS if it.long not in RECORDED))
REQUESTS = "vibebox:slo_requests:rate5m"
ERRORS = "vibebox:slo_errors:rate5m"
BUDGET = f"vibebox:slo_budget:remaining_ratio{PERIOD}"
_SPEED = {"critical": "Fast", "warning": "Slow"}
_MANNER = {"critical": "fast", "warning": "slowly"}
_CONSEQUENCE = {
    "critical": "at this rate the month's budget is gone within days",
    "warning": "at this rate the month's budget is gone before the month is over",
}


def burn_rate(window: str) -> str:
    """Return the name of the record of the burn rate over this window."""
    return f"vibebox:slo_errors:burnrate{window}"


def counted(window: str) -> str:
    """Return the name of the record of how many requests were bad in this window."""
    return f"vibebox:slo_errors:increase{window}"


_COUNTED = "10m"
"""Window of the counts that those over days are summed from."""


def _total(objective: Objective, window: str) -> str:
    return rates("job", *objective.total, window=window)


def _bad(objective: Objective, window: str, of: Callable[..., str] = rates) -> str:
    """Bad requests a second, or how many: 0, and not nothing, where there was none yet."""
    total = of("job", *objective.total, window=window)
    if objective.passed is not None:
        return f"(\n{total}\n-\n{of('job', *objective.passed, window=window)}\n)"
    assert objective.failed is not None
    return f"(\n{of('job', *objective.failed, window=window)}\nor\n0 * {total}\n)"


def _seen(window: str) -> str:
    """Return how much of the window Prometheus has seen, of 1: the step that is under way too."""
    step, number = STEPS[window]
    targets = f"count by (job) ({select('up')})"
    steps = f"(count_over_time(({targets})[{window}:{step}]) or 0 * {targets}) + 1"
    return f"clamp_max({steps}, {number}) / {number}"


def _recorded(name: str, objective: Objective, window: str) -> str:
    return f"sum by (job) (avg_over_time({_of(name, objective)}[{window}]))"


def _of(name: str, objective: Objective) -> str:
    return f'{name}{{{OF_JOB},slo="{objective.name}"}}'


def _burn_rate(objective: Objective, window: str) -> str:
    """Share of bad requests over the share that may be bad, of what was seen of the window.

    Nothing where nobody asked.
    """
    if window in RECORDED:
        bad = _recorded(ERRORS, objective, window)
        total = _recorded(REQUESTS, objective, window)
    else:
        bad, total = _bad(objective, window), _total(objective, window)
    seen = f"\n* {_seen(window)}" if window in STEPS else ""
    return f"{bad}\n/\n({total} > 0)\n/ {objective.budget}{seen}"


def _records(objective: Objective) -> list[Record]:
    labels = (("slo", objective.name),)
    windows = {window for pair in WINDOWS for window in (pair.long, pair.short)} | {PERIOD}
    ordered = sorted(windows, key=lambda window: ("mhd".index(window[-1]), int(window[:-1])))
    return [
        Record(REQUESTS, _total(objective, "5m"), labels),
        Record(ERRORS, _bad(objective, "5m"), labels),
        *(Record(burn_rate(window), _burn_rate(objective, window), labels) for window in ordered),
        *(
            Record(counted(window), _bad(objective, window, increases), labels)
            for window in (_COUNTED, *_LONG)
        ),
        Record(BUDGET, f"1 - {_of(burn_rate(PERIOD), objective)}", labels),
    ]


def _burns(objective: Objective, window: Window) -> str:
    """Both windows burn, and not for a request or two.

    The floor is one of bad requests alone: where every request of a night fails, few are enough.
    """
    if window.long in RECORDED:
        count = f"sum_over_time({_of(counted(_COUNTED), objective)}[{window.long}:{_COUNTED}])"
    else:
        count = _of(counted(window.long), objective)
    return both(
        f"{_of(burn_rate(window.long), objective)} >= {window.factor}",
        f"{_of(burn_rate(window.short), objective)} >= {window.factor}",
        f"{count} >= {BUDGET_FLOOR}",
    )


def _alert(objective: Objective, severity: str) -> Alert:
    windows = [window for window in WINDOWS if window.severity == severity]
    described = " or ".join(f"{it.factor:g} over {it.long} and {it.short}" for it in windows)
    return Alert(
        f"{objective.title}BudgetBurn{_SPEED[severity]}",
        severity,
        "slo",
        "0m",
        either(*(_burns(objective, window) for window in windows)),
        f"The {objective.name} budget burns {_MANNER[severity]}",
        f'Burn rate {{{{ $value | printf "%.1f" }}}} ({described}); the objective is '
        f"{objective.promise} over 30 days, and {_CONSEQUENCE[severity]}.",
        "slo",
        f"slo-{objective.name}",
    )


def _alerts(objective: Objective) -> Iterator[Alert]:
    if objective.burns:
        yield from (_alert(objective, severity) for severity in _SPEED)


GROUPS = tuple(
    Group(
        f"slo-{objective.name}",
        (*_records(objective), *_alerts(objective)),
    )
    for objective in OBJECTIVES
)
