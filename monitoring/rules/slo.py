"""Makes recording rules and alerts of the table of objectives and windows."""

from monitoring.rules.expressions import OF_JOB, both, either, rates
from monitoring.rules.objectives import OBJECTIVES, PERIOD, RECORDED, WINDOWS, Objective, Window
from monitoring.rules.rule import Alert, Group, Record
from monitoring.rules.thresholds import FLOOR

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


def _total(objective: Objective, window: str) -> str:
    return rates("job", *objective.total, window=window)


def _bad(objective: Objective, window: str) -> str:
    """Bad requests a second: 0, and not nothing, where there was none yet."""
    if objective.passed is not None:
        passed = rates("job", *objective.passed, window=window)
        return f"(\n{_total(objective, window)}\n-\n{passed}\n)"
    assert objective.failed is not None
    failed = rates("job", *objective.failed, window=window)
    return f"(\n{failed}\nor\n0 * {_total(objective, window)}\n)"


def _recorded(name: str, objective: Objective, window: str) -> str:
    return f"sum by (job) (avg_over_time({_of(name, objective)}[{window}]))"


def _of(name: str, objective: Objective) -> str:
    return f'{name}{{{OF_JOB},slo="{objective.name}"}}'


def _burn_rate(objective: Objective, window: str) -> str:
    """Share of bad requests over the share that may be bad; nothing where nobody asked."""
    if window in RECORDED:
        bad = _recorded(ERRORS, objective, window)
        total = _recorded(REQUESTS, objective, window)
    else:
        bad, total = _bad(objective, window), _total(objective, window)
    return f"{bad}\n/\n({total} > 0)\n/ {objective.budget}"


def _records(objective: Objective) -> list[Record]:
    labels = (("slo", objective.name),)
    windows = {window for pair in WINDOWS for window in (pair.long, pair.short)} | {PERIOD}
    ordered = sorted(windows, key=lambda window: ("mhd".index(window[-1]), int(window[:-1])))
    return [
        Record(REQUESTS, _total(objective, "5m"), labels),
        Record(ERRORS, _bad(objective, "5m"), labels),
        *(Record(burn_rate(window), _burn_rate(objective, window), labels) for window in ordered),
        Record(BUDGET, f"1 - {_of(burn_rate(PERIOD), objective)}", labels),
    ]


def _burns(objective: Objective, window: Window) -> str:
    """Both windows burn, and the short one has traffic."""
    requests = f"avg_over_time({_of(REQUESTS, objective)}[{window.short}])"
    return both(
        f"{_of(burn_rate(window.long), objective)} >= {window.factor}",
        f"{_of(burn_rate(window.short), objective)} >= {window.factor}",
        f"{requests} * 300 >= {FLOOR}",
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


GROUPS = tuple(
    Group(
        f"slo-{objective.name}",
        (*_records(objective), *(_alert(objective, severity) for severity in _SPEED)),
    )
    for objective in OBJECTIVES
)
