"""What the ledger has of the present month, which is that of the calendar in UTC."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, null, select
from sqlalchemy.orm import Session

from app.storage.clock import now
from app.storage.models import UsageRow

_CPU_HOUR = 3600 * 1e9
_GIB_HOUR = 3600.0 * 2**30
_DIGITS = 6
# Floats: SQLite refuses sums of more than 64 bits.
_SUMS = (func.sum(UsageRow.cpu_ns * 1.0), func.sum(UsageRow.memory_byte_seconds * 1.0))


class MonthUse(NamedTuple):
    """What was used in a month, to a millionth."""

    cpu_hours: float = 0.0
    memory_gib_hours: float = 0.0


def used_this_month(session: Session, rows: ColumnElement[bool]) -> MonthUse:
    """Return what these rows have of the present month."""
    return _used(session, rows, null())[None]


def used_by_team(session: Session) -> dict[str, MonthUse]:
    """Return the same of each team that has used something, by its id."""
    return _used(session, UsageRow.team_id.is_not(None), UsageRow.team_id, UsageRow.team_id)


def end_of_month(moment: datetime) -> datetime:
    """Return when the month after that of a moment begins."""
    return first_of_month(first_of_month(moment) + timedelta(days=32))


def first_of_month(moment: datetime) -> datetime:
    """Return when the month of a moment began."""
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _used(
    session: Session, rows: ColumnElement[bool], by: Any, *groups: Any
) -> dict[Any, MonthUse]:
    at = now(session)
    # What a clock that was ahead has booked is of its own month.
    month = UsageRow.starts_at >= first_of_month(at), UsageRow.starts_at < end_of_month(at)
    found = session.execute(select(by, *_SUMS).where(rows, *month).group_by(*groups))
    return {key: _use(cpu, memory) for key, cpu, memory in found}


def _use(cpu: Any, memory: Any) -> MonthUse:
    return MonthUse(
        round(float(cpu or 0) / _CPU_HOUR, _DIGITS),
        round(float(memory or 0) / _GIB_HOUR, _DIGITS),
    )
