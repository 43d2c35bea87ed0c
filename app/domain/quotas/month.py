"""What an account or a team may use in a month, by the ledger: CPU hours, GiB hours of memory.

A month is that of the calendar in UTC. Use is known some seconds after it was, and what runs when
the month's quota is used up goes on: a quota refuses what begins, and ends nothing.
"""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from app.core.errors import QuotaExceededError
from app.domain.quotas.usage import counted_teams
from app.storage import Project, Team, UsageRow, User, now
from app.storage.months import end_of_month, used_this_month


@dataclass(frozen=True)
class Month:
    """What there may be in a month, None without a bound."""

    cpu_hours: float | None = None
    memory_gib_hours: float | None = None


def month_limits(owner: User | Team, defaults: Month) -> Month:
    """Return the owner's bounds, its own or the defaults."""
    cpu, memory = owner.max_cpu_hours, owner.max_memory_gib_hours
    return Month(
        defaults.cpu_hours if cpu is None else cpu,
        defaults.memory_gib_hours if memory is None else memory,
    )


def rows_of(owner: User | Team) -> ColumnElement[bool]:
    """Return the condition on `UsageRow` that it counts for the owner, as environments do.

    By the team, and not by its projects: one that is gone has used what it has.
    """
    if isinstance(owner, Team):
        return UsageRow.team_id == owner.id
    own = select(Project.id).where(Project.owner_user_id == owner.id)
    # Of a project that is gone: without a team it was its account's own.
    alone = and_(UsageRow.team_id.is_(None), UsageRow.account_id == owner.id)
    return or_(UsageRow.project_id.in_(own), UsageRow.team_id.in_(counted_teams(owner.id)), alone)


def demand_month(session: Session, limits: Month, rows: ColumnElement[bool], **whose: Any) -> None:
    """Ask that something is left of the month's quota.

    Args:
        whose: `of` and `team` of QuotaExceededError, which it raises.
    """
    bounds = {name: limit for name, limit in asdict(limits).items() if limit is not None}
    if not bounds:
        return
    used = used_this_month(session, rows)._asdict()
    for resource, limit in bounds.items():
        if used[resource] >= limit:
            ends = end_of_month(now(session))
            raise QuotaExceededError(
                resource, limit=limit, used=used[resource], requested=0, until=ends, **whose
            )
