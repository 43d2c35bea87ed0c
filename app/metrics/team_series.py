"""What teams have and may have, beside what they have used: gauges of `collect[]=teams`.

They are of the teams that there are, at the moment of the scrape. What something costs is no
series: prices are, so that a dashboard multiplies what was used in the time it shows by what it
costs now.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.core.setting_values import prices
from app.core.settings import Settings
from app.storage import AT_REST, Environment, EnvironmentStatus, LogUsage, Project, Team
from app.storage.months import MonthUse, used_by_team

RESOURCES = ("environments", "cpus", "memory_bytes", "cpu_seconds", "memory_byte_seconds")
"""What there are quotas of, in the units of series; the last two are of a month (UTC)."""
_MIB = 2**20
_CPU_HOUR = 3600
_GIB_HOUR = 3600 * 2**30
_SHARES = {
    "limit": "What a team may have; use of time in a month (UTC), where that has a bound.",
    "used": "What a team has of it: of CPUs and memory, those up; use of time in this month.",
}
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(frozen=True)
class TeamTerms:
    """What holds for a team that has no limits of its own, and what its use costs.

    `limits` are in the order of RESOURCES, None without a bound; `prices` are by unit, in one
    currency.
    """

    limits: tuple[float | None, ...]
    prices: Mapping[str, float]
    currency: str

    @classmethod
    def of(cls, settings: Settings) -> "TeamTerms":
        """Return those of the settings."""
        limits = (
            settings.quota_environments,
            settings.quota_cpus,
            settings.quota_memory_mb * _MIB,
            _times(settings.quota_cpu_hours, _CPU_HOUR),
            _times(settings.quota_memory_gib_hours, _GIB_HOUR),
        )
        return cls(limits, prices(settings.usage_prices), settings.usage_currency)


def lines(session: Session, terms: TeamTerms, most: int) -> list[str]:
    """Return the text of the gauges, of so many teams at most."""
    teams = session.execute(select(Team).order_by(Team.id).limit(most)).scalars().all()
    has = _environments(session)
    names = {team.id: _labels(team_id=team.id, team=team.name) for team in teams}
    found = [*_head("vibebox_team_environments", "Environments of a team by status.")]
    for team in teams:
        for status in EnvironmentStatus:
            number = has[team.id].get(status, (0, 0, 0))[0]
            labels = f'{names[team.id]},status="{status}"'
            found.append(f"vibebox_team_environments{{{labels}}} {float(number)!r}")
    limits = {team.id: _limits(team, terms) for team in teams}
    used = _used(session, has, limits)
    for share, text in _SHARES.items():
        found += _head(f"vibebox_team_quota_{share}", text)
        for team in teams:
            amounts = (limits if share == "limit" else used)[team.id]
            found += _quota(share, names[team.id], amounts)
    found += _head("vibebox_team_log_bytes", "What the stored lines of a team's containers take.")
    logs = _logs(session)
    found += [
        f"vibebox_team_log_bytes{{{names[team.id]}}} {float(logs.get(team.id, 0))!r}"
        for team in teams
    ]
    return [*found, *_prices(terms)]


def _environments(session: Session) -> Mapping[str, Mapping[str, tuple[float, float, float]]]:
    """Return number, CPUs and memory in bytes of environments, by team and status."""
    query = (
        select(
            Project.owner_team_id,
            Environment.status,
            func.count(),
            func.sum(Environment.cpu_limit),
            func.sum(Environment.memory_limit_mb),
        )
        .join(Environment, Environment.project_id == Project.id)
        .where(Project.owner_team_id.is_not(None))
        .group_by(Project.owner_team_id, Environment.status)
    )
    found: dict[Any, dict[str, tuple[float, float, float]]] = defaultdict(dict)
    for team, status, number, cpus, memory in session.execute(query):
        found[team][status] = (number, float(cpus), float(memory) * _MIB)
    return found


def _logs(session: Session) -> Mapping[Any, float]:
    query = (
        select(Project.owner_team_id, func.sum(LogUsage.bytes))
        .join(Environment, Environment.project_id == Project.id)
        .join(LogUsage, LogUsage.environment_id == Environment.id)
        .where(Project.owner_team_id.is_not(None))
        .group_by(Project.owner_team_id)
    )
    return {team: float(size) for team, size in session.execute(query)}


def _limits(team: Team, terms: TeamTerms) -> tuple[float | None, ...]:
    own = (
        team.max_environments,
        team.max_cpus,
        _times(team.max_memory_mb, _MIB),
        _times(team.max_cpu_hours, _CPU_HOUR),
        _times(team.max_memory_gib_hours, _GIB_HOUR),
    )
    return tuple(
        default if value is None else value
        for value, default in zip(own, terms.limits, strict=True)
    )


def _times(amount: float | None, units: float) -> float | None:
    return None if amount is None else amount * units


def _used(
    session: Session,
    has: Mapping[str, Mapping[str, tuple[float, float, float]]],
    limits: Mapping[str, tuple[float | None, ...]],
) -> dict[str, tuple[float | None, ...]]:
    """Return what teams have of what there are limits of.

    Only where a month has a bound is the ledger asked: that reads all rows of the month.
    """
    bounded = [team for team, (*_, cpu, memory) in limits.items() if (cpu, memory) != (None, None)]
    months = used_by_team(session, bounded) if bounded else {}
    return {team: _held(has[team]) + _month(months.get(team), limits[team]) for team in limits}


def _month(use: MonthUse | None, limits: tuple[float | None, ...]) -> tuple[float | None, ...]:
    cpu, memory = use or MonthUse()
    used = (cpu * _CPU_HOUR, memory * _GIB_HOUR)
    return tuple(
        None if limit is None else amount for amount, limit in zip(used, limits[3:], strict=True)
    )


def _held(has: Mapping[str, tuple[float, float, float]]) -> tuple[float, ...]:
    up = [amounts for status, amounts in has.items() if status not in AT_REST]
    return (
        sum(amounts[0] for amounts in has.values()),
        round(sum(amounts[1] for amounts in up), 6),
        sum(amounts[2] for amounts in up),
    )


def _quota(share: str, labels: str, amounts: tuple[float | None, ...]) -> Iterator[str]:
    for resource, amount in zip(RESOURCES, amounts, strict=True):
        if amount is None:
            continue
        yield f'vibebox_team_quota_{share}{{{labels},resource="{resource}"}} {float(amount)!r}'


def _prices(terms: TeamTerms) -> Iterator[str]:
    if not terms.prices:
        return
    yield from _head("vibebox_usage_price", "What a unit of use costs, by the settings.")
    for unit, price in terms.prices.items():
        labels = _labels(unit=unit, currency=terms.currency)
        yield f"vibebox_usage_price{{{labels}}} {float(price)!r}"


def _head(name: str, text: str) -> tuple[str, str]:
    return f"# HELP {name} {text} See docs/usage.md.", f"# TYPE {name} gauge"


def _labels(**values: str) -> str:
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in values.items())
