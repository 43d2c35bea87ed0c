"""What an account or a team may use in a month, by the ledger: CPU hours, GiB hours of memory.

A month is that of the calendar in UTC. Use is known some seconds after it was, and what runs when
the month's quota is used up goes on: a quota refuses what begins, and ends nothing.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from app.core.errors import QuotaExceededError
from app.domain.quotas.usage import counted_teams
from app.storage import Project, Team, UsageRow, User, now

_CPU_HOUR = 3600 * 1e9
_GIB_HOUR = 3600.0 * 2**30
_DIGITS = 6


@dataclass(frozen=True)
class Month:
    """What there may be in a month, None without a bound; or what there is."""

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


def used_this_month(session: Session, rows: ColumnElement[bool]) -> Month:
    """Return what these rows have of the present month."""
    begin = first_of_month(now(session))
    # What a clock that was ahead has booked is of its own month.
    end = first_of_month(begin + timedelta(days=32))
    month = UsageRow.starts_at >= begin, UsageRow.starts_at < end
    # Floats: SQLite refuses sums of more than 64 bits.
    sums = (func.sum(UsageRow.cpu_ns * 1.0), func.sum(UsageRow.memory_byte_seconds * 1.0))
    found = session.execute(select(*sums).where(rows, *month)).one()
    cpu, memory = (float(value or 0) for value in found)
    return Month(round(cpu / _CPU_HOUR, _DIGITS), round(memory / _GIB_HOUR, _DIGITS))


def demand_month(session: Session, limits: Month, rows: ColumnElement[bool], of: str) -> None:
    """Ask that something is left of the month's quota. Raises: QuotaExceededError."""
    bounds = {name: limit for name, limit in asdict(limits).items() if limit is not None}
    if not bounds:
        return
    used = asdict(used_this_month(session, rows))
    for resource, limit in bounds.items():
        if used[resource] >= limit:
            ends = first_of_month(first_of_month(now(session)) + timedelta(days=32))
            raise QuotaExceededError(
                resource, of=of, limit=limit, used=used[resource], requested=0, until=ends
            )


def first_of_month(moment: datetime) -> datetime:
    """Return when the month of a moment began."""
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
