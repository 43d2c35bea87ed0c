"""Counts the days: who was active, and who came back in the second week. See `BusinessDay`.

A day is counted again and again until it is over, and then once more for good. Accounts that were
deleted meanwhile are still known then, and forgotten afterwards.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, exists, func, literal, or_, select
from sqlalchemy.orm import Session

from app.domain.business.journey import BITS, day_of, number_of
from app.storage import (
    BusinessAccount,
    BusinessCohort,
    BusinessCursor,
    BusinessDay,
    Database,
    put_rows,
)
from app.storage.fence import Fence

ACTIVE = (1, 7, 30)
"""Days, that end with the one that is counted."""

GRACE = timedelta(hours=1)
"""How long after its end a day is counted for good: hosts' clocks differ."""

_DAY = timedelta(days=1)
# More are not known of an account; see `BITS`.
_LATE = 31
_COLUMNS = ("finished", *(f"active_{days}" for days in ACTIVE), "second_week_over", "returned")


class Days:
    """The task of the leader, after the audit log is read."""

    def __init__(self, database: Database, fence: Fence) -> None:
        self._database = database
        self._fence = fence

    def run(self, moment: datetime) -> None:
        """Count all days that are not finished at `moment`. Raises: StorageError, and the fence's.

        What nobody counted for a month is not made up.
        """
        today = day_of(moment)
        self._forget_later(today)
        day = self._first(today)
        while day <= today:
            self._count(day, finished=moment >= _end(day) + GRACE)
            day += _DAY
        self._forget_gone()

    def _first(self, today: date) -> date:
        """Return the first day to count: there was nobody before the first sign-up."""
        last = self._last_finished()
        earliest = today - timedelta(days=_LATE)
        if last is not None:
            return max(earliest, last + _DAY)
        with self._database.reading() as session:
            return max(earliest, session.scalar(select(func.min(BusinessCohort.day))) or today)

    def _forget_later(self, today: date) -> None:
        """Delete days that are yet to come: a clock that was ahead, and is set back, had them."""
        later = BusinessDay.day > today
        with self._database.reading() as session:
            if not session.scalar(select(exists().where(later))):
                return
        with self._database.writing() as session:
            self._fence(session)
            session.execute(delete(BusinessDay).where(later))

    def _last_finished(self) -> date | None:
        query = select(func.max(BusinessDay.day)).where(BusinessDay.finished)
        with self._database.reading() as session:
            return session.scalar(query)

    def _count(self, day: date, *, finished: bool) -> None:
        with self._database.writing() as session:
            self._fence(session)
            row = {"day": day, "finished": finished, **_active(session, day)}
            row |= _second_week(session, day)
            put_rows(session, BusinessDay, [row], key=("day",), changed=_COLUMNS)

    def _forget_gone(self) -> None:
        """Delete what is kept of deleted accounts, once no day and no second reading needs it."""
        last = self._last_finished()
        if last is None:
            return
        read = select(BusinessCursor.older).scalar_subquery()
        old = (BusinessAccount.gone_entry <= read) & (BusinessAccount.gone_at < _end(last))
        with self._database.writing() as session:
            self._fence(session)
            session.execute(delete(BusinessAccount).where(old))


def _active(session: Session, day: date) -> dict[str, int]:
    """Return how many accounts of the end of the day were active, by window."""
    there = or_(BusinessAccount.gone_at.is_(None), BusinessAccount.gone_at >= _end(day))
    people = ~BusinessAccount.is_synthetic
    counts = [
        func.count(case((_is_active(number_of(day), days), 1))).label(f"active_{days}")
        for days in ACTIVE
    ]
    return dict(session.execute(select(*counts).where(there, people)).mappings().one())


def _is_active(day: int, days: int) -> ColumnElement[bool]:
    """Return the condition of an act on one of so many days that end with `day`."""
    last: Any = BusinessAccount.active_day
    of_window = (BusinessAccount.active_days.op(">>")(last - day)).op("&")(literal((1 << days) - 1))
    return or_(
        and_(last > day - days, last <= day),
        # Who was active later too: the bits say when before.
        and_(last > day, last < day + BITS, of_window != 0),
    )


def _second_week(session: Session, day: date) -> dict[str, int]:
    over = BusinessCohort.day <= day - timedelta(days=14)
    columns = func.sum(BusinessCohort.signed_up), func.sum(BusinessCohort.second_week)
    signed_up, returned = session.execute(select(*columns).where(over)).one()
    return {"second_week_over": int(signed_up or 0), "returned": int(returned or 0)}


def _end(day: date) -> datetime:
    return datetime.combine(day + _DAY, time(), UTC)
