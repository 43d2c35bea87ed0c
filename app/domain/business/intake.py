"""Reads the audit log into first moments and sums, under the leader's fence.

The log is written in the transaction of each act, so it is exact, and no act writes anything more.
What is changed of an account, and of the sums by it, is one transaction with the cursor; reading an
entry twice changes nothing. So a leader may die at any moment.

Numbers of entries are given out before a transaction ends: one that ends late appears below others.
What was read is therefore read again until it is minutes old, longer than a transaction may last.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, exists, func, select
from sqlalchemy.orm import Session

from app.domain.business.journey import SUMS, Journey, Way, day_of, step_of, way_of
from app.storage import (
    AuditEntry,
    BusinessAccount,
    BusinessCohort,
    BusinessCursor,
    BusinessDay,
    BusinessTotal,
    Database,
    User,
    add_rows,
    put_rows,
)
from app.storage.fence import Fence

BATCH = 500
TURN = timedelta(minutes=10)
"""How old what is read for good is at least."""

# What is so old is of a transaction that has ended, whichever host wrote it.
_SETTLED = timedelta(hours=1)
# An entry of a host whose clock is further ahead than that is taken to be of that moment.
_AHEAD = timedelta(days=1)
_COLUMNS = tuple(field.name for field in fields(Journey))
_OF_USER = (User.id, User.created_at, User.is_synthetic)
_ENTRY = (
    AuditEntry.id,
    AuditEntry.at,
    AuditEntry.actor_id,
    AuditEntry.action,
    AuditEntry.target_kind,
    AuditEntry.target_id,
    AuditEntry.details,
)


class Intake:
    """The one place that writes what is known of accounts."""

    def __init__(self, database: Database, fence: Fence, batch: int = BATCH) -> None:
        """`fence` is called first in each transaction; see `app.storage.fence`."""
        self._database = database
        self._fence = fence
        self._batch = batch

    def run(self, latest: datetime, stopping: Callable[[], bool] = lambda: False) -> None:
        """Read the log to its end; may be called again after a failure.

        Args:
            latest: The present moment, by a clock that is never ahead.
            stopping: Says whether to end early.

        Raises: StorageError, and what the fence raises.
        """
        at: int | None = None
        while not stopping():
            at, more = self._read(at, latest)
            if not more:
                while not stopping() and self._add_unnamed(latest):
                    pass
                return

    def forget(self) -> None:
        """Delete all that is kept. Raises: as `run`."""
        with self._database.reading() as session:
            if not session.scalar(select(exists(select(BusinessCursor.id)))):
                return
        with self._database.writing() as session:
            self._fence(session)
            tables = BusinessAccount, BusinessCohort, BusinessTotal, BusinessDay, BusinessCursor
            for table in tables:
                session.execute(delete(table))

    def _read(self, at: int | None, latest: datetime) -> tuple[int, bool]:
        """Take in some entries; return the last one's number, and whether there may be more."""
        with self._database.writing() as session:
            self._fence(session)
            cursor = _cursor(session, latest)
            begin = cursor.older if at is None else at
            query = select(*_ENTRY).where(AuditEntry.id > begin).order_by(AuditEntry.id)
            entries = session.execute(query.limit(self._batch)).all()
            _take_in(session, entries, latest + _AHEAD)
            end = entries[-1].id if entries else begin
            _move(cursor, entries, end, latest)
            return end, len(entries) == self._batch

    def _add_unnamed(self, latest: datetime) -> bool:
        """Add some accounts that the log does not name; tell whether there may be more."""
        known = exists().where(BusinessAccount.account_id == User.id)
        query = select(*_OF_USER).where(~known).order_by(User.id).limit(self._batch)
        with self._database.writing() as session:
            self._fence(session)
            cursor = _cursor(session, latest)
            if cursor.complete:
                return False
            found = session.execute(query).all()
            _write(session, {}, [_of_user(*row) for row in found])
            cursor.complete = len(found) < self._batch
            return not cursor.complete


def _cursor(session: Session, at: datetime) -> BusinessCursor:
    cursor = session.get(BusinessCursor, 1, with_for_update=True)
    if cursor is None:
        cursor = BusinessCursor(id=1, older=0, newer=0, turned_at=at, complete=False, read_at=at)
        session.add(cursor)
    elif cursor.newer:
        # SQLite numbers anew where the log was emptied.
        if (session.scalar(select(func.max(AuditEntry.id))) or 0) < cursor.older:
            cursor.older = cursor.newer = 0
    return cursor


def _move(cursor: BusinessCursor, entries: Sequence[Row[Any]], end: int, at: datetime) -> None:
    """Note that all up to `end` is read; what is old is so for good."""
    cursor.read_at = at
    if entries and max(entry.at for entry in entries) < at - _SETTLED:
        cursor.older, cursor.newer = end, max(end, cursor.newer)
    elif abs(at - cursor.turned_at) >= TURN:  # a clock may be set back
        cursor.older, cursor.newer = cursor.newer, max(end, cursor.newer)
        cursor.turned_at = at


def _take_in(session: Session, entries: Sequence[Row[Any]], latest: datetime) -> None:
    """Change what is known of the accounts that these entries name, and the sums by it."""
    ids = _named(entries)
    known = _written(session, ids)
    before = {id: replace(journey) for id, journey in known.items()}
    known |= _unwritten(session, [id for id in ids if id not in known])
    for entry in entries:
        _take(known, entry, min(entry.at, latest))
    _write(session, before, [new for id, new in known.items() if new != before.get(id)])


def _named(entries: Iterable[Row[Any]]) -> list[str]:
    actors = {entry.actor_id for entry in entries}
    targets = {entry.target_id for entry in entries if entry.target_kind == "account"}
    return sorted(id for id in actors | targets if id is not None)


def _written(session: Session, ids: Sequence[str]) -> dict[str, Journey]:
    columns = (getattr(BusinessAccount, name) for name in _COLUMNS)
    query = select(*columns).where(BusinessAccount.account_id.in_(ids))
    return {row.account_id: Journey(*row) for row in session.execute(query)}


def _unwritten(session: Session, ids: Sequence[str]) -> dict[str, Journey]:
    """Return accounts that there are and of which nothing was read yet, as their rows have them."""
    query = select(*_OF_USER).where(User.id.in_(ids))
    return {row[0]: _of_user(*row) for row in session.execute(query)}


def _of_user(account_id: str, created_at: datetime, is_synthetic: bool) -> Journey:
    return Journey(account_id, Way.UNKNOWN, created_at, is_synthetic=is_synthetic)


def _take(known: dict[str, Journey], entry: Row[Any], at: datetime) -> None:
    details, target = entry.details or {}, entry.target_id
    way = way_of(entry.action, details)
    if way is not None and target is not None:
        journey = known.setdefault(target, Journey(target, Way.UNKNOWN, at))
        if journey.way == Way.UNKNOWN:
            journey.way, journey.signed_up_at = way, at
        journey.is_synthetic = journey.is_synthetic or bool(details.get("synthetic"))
    actor = known.get(entry.actor_id)
    if actor is not None:
        actor.act(at, step_of(entry.action, details))
    if entry.action == "account.delete" and target in known:
        known[target].gone_at, known[target].gone_entry = at, entry.id


def _write(session: Session, before: Mapping[str, Journey], changed: Sequence[Journey]) -> None:
    """Write these accounts, and to the sums add what they count more than before."""
    more: dict[tuple[date, str], dict[str, int]] = {}
    for journey in changed:
        old = before.get(journey.account_id)
        for one, sign in ((old, -1), (journey, 1)):
            if one is None:
                continue
            sums = more.setdefault((day_of(one.signed_up_at), one.way), dict.fromkeys(SUMS, 0))
            for name, value in one.counted().items():
                sums[name] += sign * value
    _put(session, changed, more)


def _put(
    session: Session, changed: Sequence[Journey], more: Mapping[tuple[date, str], dict[str, int]]
) -> None:
    rows = [asdict(journey) for journey in changed]
    put_rows(session, BusinessAccount, rows, key=("account_id",), changed=_COLUMNS[1:])
    cohorts = [{"day": day, "way": way, **more[day, way]} for day, way in sorted(more)]
    add_rows(session, BusinessCohort, cohorts, key=("day", "way"), added=SUMS)
    totals = [{"way": way, **_sum_of(more, way)} for way in sorted({way for _, way in more})]
    add_rows(session, BusinessTotal, totals, key=("way",), added=SUMS)


def _sum_of(more: Mapping[tuple[date, str], dict[str, int]], way: str) -> dict[str, int]:
    mine = [sums for (_, of), sums in more.items() if of == way]
    return {name: sum(sums[name] for sums in mine) for name in SUMS}
