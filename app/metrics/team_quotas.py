"""What a team may have and has, in the units of series; what it uses of a month among it."""

from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from app.core.settings import Settings
from app.storage import AT_REST, Team
from app.storage.months import MonthUse, used_by_team

RESOURCES = ("environments", "cpus", "memory_bytes", "cpu_seconds", "memory_byte_seconds")
"""What there are quotas of, in the units of series; the last two are of a month (UTC)."""
SHARES = {
    "limit": "What a team may have; use of time in a month (UTC), where that has a bound.",
    "used": "What a team has of it: of CPUs and memory, those up; use of time in this month.",
}
Amounts = tuple[float | None, ...]
"""In the order of RESOURCES; None where there is no bound."""
Environments = Mapping[str, tuple[float, float, float]]
"""Number, CPUs and memory in bytes of a team's environments, by status."""
_MIB = 2**20
_CPU_HOUR = 3600
_GIB_HOUR = 3600 * 2**30


def default_limits(settings: Settings) -> Amounts:
    """Return those of a team that has none of its own."""
    return (
        settings.quota_environments,
        settings.quota_cpus,
        settings.quota_memory_mb * _MIB,
        _times(settings.quota_cpu_hours, _CPU_HOUR),
        _times(settings.quota_memory_gib_hours, _GIB_HOUR),
    )


def shares(
    session: Session, teams: Sequence[Team], has: Mapping[str, Environments], defaults: Amounts
) -> dict[str, dict[str, Amounts]]:
    """Return what each team may have and has: by SHARES, and by its id.

    Only where a month has a bound is the ledger asked: that reads all rows of the month.
    """
    limits = {team.id: _limits(team, defaults) for team in teams}
    bounded = any(limit is not None for amounts in limits.values() for limit in amounts[3:])
    months = used_by_team(session) if bounded else {}
    used = {
        team: _held(has[team]) + _month(months.get(team, MonthUse()), limits[team])
        for team in limits
    }
    return {"limit": limits, "used": used}


def _limits(team: Team, defaults: Amounts) -> Amounts:
    own = (
        team.max_environments,
        team.max_cpus,
        _times(team.max_memory_mb, _MIB),
        _times(team.max_cpu_hours, _CPU_HOUR),
        _times(team.max_memory_gib_hours, _GIB_HOUR),
    )
    return tuple(
        default if value is None else value for value, default in zip(own, defaults, strict=True)
    )


def _times(amount: float | None, units: float) -> float | None:
    return None if amount is None else amount * units


def _month(use: MonthUse, limits: Amounts) -> Amounts:
    used = (use.cpu_hours * _CPU_HOUR, use.memory_gib_hours * _GIB_HOUR)
    return tuple(
        None if limit is None else amount for amount, limit in zip(used, limits[3:], strict=True)
    )


def _held(has: Environments) -> Amounts:
    up = [amounts for status, amounts in has.items() if status not in AT_REST]
    return (
        sum(amounts[0] for amounts in has.values()),
        round(sum(amounts[1] for amounts in up), 6),
        sum(amounts[2] for amounts in up),
    )
