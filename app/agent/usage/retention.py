"""Adds old hours up by day, and deletes old days.

A day's row is raised by what the hours of it have, in the transaction that deletes them: whatever
is killed in between, each hour counts once. An hour that is booked late, by a reading after a long
pause, joins the row of its day in the same way.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from app.domain.usage.booking import SUMS
from app.storage import (
    SYNTHETIC,
    ContainerExit,
    Database,
    Environment,
    UsageCursor,
    UsageDisk,
    UsagePeriod,
    UsageRow,
    UsageTotal,
    UsageTotalKind,
    add_rows,
)
from app.storage.cautious_clock import CautiousClock
from app.storage.fence import Fence
from app.storage.months import first_of_month

_BATCH = 500
# Longer than `ContainerExit` is kept, which would book the end once more.
_CURSORS_KEPT = timedelta(days=8)
_LARGEST = ("memory_peak_bytes", "memory_limit_bytes")
_KEY = ("environment_id", "starts_at", "period")
_COLUMNS = tuple(UsageRow.__table__.columns.keys())


class UsageRetention:
    """The task of the leader."""

    def __init__(
        self, database: Database, clock: CautiousClock, fence: Fence, *, hours: float, days: float
    ) -> None:
        """Keep rows by the hour for `hours` days, and by the day for `days` days."""
        self._database = database
        self._clock = clock
        self._fence = fence
        self._hours = timedelta(days=hours)
        self._days = timedelta(days=days)

    def run(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """Do what is due; ends early when `stopping` says so. Raises: StorageError, and others."""
        now = self._clock.now()
        # Whole days only.
        until = _day_of(now - self._hours)
        while not stopping() and self._add_up(until) == _BATCH:
            pass
        # Quotas of a month ask for all of it, however little is kept.
        before = min(now - self._days, first_of_month(now))
        while not stopping() and self._delete(before) == _BATCH:
            pass
        self._forget_runs(now - _CURSORS_KEPT)
        self._forget_totals()

    def _add_up(self, until: datetime) -> int:
        """Put some hours before `until` into the rows of their days; return how many."""
        old = (
            select(UsageRow)
            .where(UsageRow.period == UsagePeriod.HOUR, UsageRow.starts_at < until)
            .order_by(UsageRow.starts_at, UsageRow.environment_id)
            .limit(_BATCH)
            .with_for_update()
        )
        with self._database.writing() as session:
            self._fence(session)
            hours = session.scalars(old).all()
            days = _days(hours)
            add_rows(session, UsageRow, days, key=_KEY, added=SUMS, largest=_LARGEST)
            _delete_rows(session, hours)
            return len(hours)

    def _delete(self, before: datetime) -> int:
        old = (
            select(UsageRow)
            .where(UsageRow.period == UsagePeriod.DAY, UsageRow.starts_at < before)
            .limit(_BATCH)
        )
        with self._database.writing() as session:
            self._fence(session)
            rows = session.scalars(old).all()
            _delete_rows(session, rows)
            return len(rows)

    def _forget_runs(self, before: datetime) -> None:
        """Drop the cursors of runs that are over, or whose environment is gone."""
        seen = ContainerExit.container_id == UsageCursor.container_id
        recorded = exists().where(seen, ContainerExit.run_started == UsageCursor.run_started)
        has_record = exists().where(Environment.container_id == UsageCursor.container_id)
        with self._database.writing() as session:
            self._fence(session)
            session.execute(
                delete(UsageCursor).where(
                    UsageCursor.read_at_ns < int(before.timestamp()) * 1_000_000_000,
                    ~recorded,
                    UsageCursor.ended | ~has_record,
                )
            )

    def _forget_totals(self) -> None:
        """Drop sizes and totals of environments that are gone, once no run is to be ended."""
        exists_still = exists().where(Environment.id == UsageTotal.id)
        is_read = exists().where(UsageCursor.environment_id == UsageTotal.id)
        is_there = exists().where(Environment.id == UsageDisk.environment_id)
        with self._database.writing() as session:
            self._fence(session)
            session.execute(delete(UsageDisk).where(~is_there))
            session.execute(
                delete(UsageTotal).where(
                    UsageTotal.kind == UsageTotalKind.ENVIRONMENT,
                    UsageTotal.id != SYNTHETIC,
                    ~exists_still,
                    ~is_read,
                )
            )


def _day_of(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _days(hours: Sequence[UsageRow]) -> list[dict[str, Any]]:
    """Return the rows of the days of these hours."""
    found: dict[tuple[str, datetime], dict[str, Any]] = {}
    for hour in hours:
        start = _day_of(hour.starts_at)
        row = {name: getattr(hour, name) for name in _COLUMNS}
        row |= {"starts_at": start, "period": UsagePeriod.DAY}
        known = found.get((hour.environment_id, start))
        if known is not None:
            row |= {name: known[name] + row[name] for name in SUMS}
            row |= {name: max(known[name], row[name]) for name in _LARGEST}
        found[hour.environment_id, start] = row
    return [found[key] for key in sorted(found)]


def _delete_rows(session: Session, rows: Sequence[UsageRow]) -> None:
    for row in rows:
        session.delete(row)
