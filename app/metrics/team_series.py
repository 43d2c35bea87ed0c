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
from app.metrics.team_quotas import (
    RESOURCES,
    SHARES,
    Amounts,
    Environments,
    default_limits,
    shares,
)
from app.storage import Environment, EnvironmentStatus, LogUsage, Project, Team

_MIB = 2**20
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(frozen=True)
class TeamTerms:
    """What holds for a team that has no limits of its own, and what its use costs.

    `limits` are in the order of RESOURCES, None without a bound; `prices` are by unit, in one
    currency.
    """

    limits: Amounts
    prices: Mapping[str, float]
    currency: str

    @classmethod
    def of(cls, settings: Settings) -> "TeamTerms":
        """Return those of the settings."""
        return cls(default_limits(settings), prices(settings.usage_prices), settings.usage_currency)


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
    quotas = shares(session, teams, has, terms.limits)
    for share, text in SHARES.items():
        found += _head(f"vibebox_team_quota_{share}", text)
        for team in teams:
            found += _quota(share, names[team.id], quotas[share][team.id])
    found += _head("vibebox_team_log_bytes", "What the stored lines of a team's containers take.")
    logs = _logs(session)
    found += [
        f"vibebox_team_log_bytes{{{names[team.id]}}} {float(logs.get(team.id, 0))!r}"
        for team in teams
    ]
    return [*found, *_prices(terms)]


def _environments(session: Session) -> Mapping[str, Environments]:
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


def _quota(share: str, labels: str, amounts: Amounts) -> Iterator[str]:
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
