"""Deletes logs that are too old, and the oldest of environments that have too many.

In small batches, so that nobody waits long for a lock. What an environment uses is lowered by what
a batch really deleted, in the same transaction: it stays exact whoever else is deleting.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, delete, exists, select, update
from sqlalchemy.orm import Session

from app.core.isolation import Loop
from app.core.items import Items
from app.storage import Database, Environment, LogCursor, LogEntry, LogSource, LogUsage
from app.storage.cautious_clock import CautiousClock

# Lines deleted in one transaction. More holds locks for longer, fewer costs more transactions.
_BATCH = 2000
_MIB = 1024 * 1024
_NS = 1_000_000_000
# What one environment may take of a round; the rest of what it has too much has the next one.
_SECONDS = 30.0


class LogRetention:
    """The task of the leader; run it every minute or so. It may run twice at once."""

    def __init__(
        self,
        database: Database,
        clock: CautiousClock,
        days: float,
        limit_mb: float,
        *,
        ships: bool = False,
    ) -> None:
        """Keep lines for `days`, and `limit_mb` MiB of them in each environment; `ships`: they are
        sent to a receiver, and what was not is to be counted."""
        self._ships = ships
        self._database = database
        self._clock = clock
        self._age = timedelta(days=days)
        self._limit = int(limit_mb * _MIB)
        self._environments = Items(Loop.LOG_RETENTION, seconds=_SECONDS)

    def run(self, stopping: Callable[[], bool] = lambda: False) -> int:
        """Delete what is to go and return the number of lines; ends early when `stopping` says so.

        Raises: StorageUnavailableError; the next run goes on from there.
        """
        horizon = int((self._clock.now() - self._age).timestamp()) * _NS
        deleted = 0
        while not stopping() and (batch := self._delete_old(horizon)):
            deleted += batch

        def shorten(environment_id: str) -> None:
            nonlocal deleted
            while not stopping() and (batch := self._shorten(environment_id)):
                deleted += batch

        self._environments.go_through(self._too_large(), shorten, stopping)
        self._forget_containers(horizon)
        self._forget_sources()
        return deleted

    def _delete_old(self, horizon: int) -> int:
        old = (
            select(LogEntry.id, LogEntry.environment_id)
            .where(LogEntry.at_ns < horizon)
            .order_by(LogEntry.at_ns)
            .limit(_BATCH)
        )
        with self._database.writing() as session:
            found = session.execute(old).all()
            _lock(session, {environment_id for _, environment_id in found})
            return _delete(session, [entry_id for entry_id, _ in found])

    def _too_large(self) -> Sequence[str]:
        with self._database.reading() as session:
            return session.scalars(
                select(LogUsage.environment_id).where(LogUsage.bytes > self._limit)
            ).all()

    def _shorten(self, environment_id: str) -> int:
        """Delete some of the oldest lines of an environment, as long as it has too many."""
        oldest = (
            select(LogEntry.id, LogEntry.size)
            .where(LogEntry.environment_id == environment_id)
            .order_by(LogEntry.id)
            .limit(_BATCH)
        )
        with self._database.writing() as session:
            _lock(session, {environment_id})
            used = session.scalar(
                select(LogUsage.bytes).where(LogUsage.environment_id == environment_id)
            )
            excess = (used or 0) - self._limit
            if excess <= 0:
                return 0
            going = []
            for entry_id, size in session.execute(oldest):
                if excess <= 0:
                    break
                going.append(entry_id)
                excess -= size
            return _delete(session, going)

    def _forget_containers(self, horizon: int) -> None:
        """Drop the cursors of containers that were replaced long ago; of others they are needed."""
        with self._database.writing() as session:
            session.execute(
                delete(LogCursor).where(
                    LogCursor.at_ns < horizon,
                    select(Environment.id)
                    .where(Environment.id == LogCursor.environment_id, _has_another())
                    .exists(),
                )
            )

    def _forget_sources(self) -> None:
        """Drop the numbers of containers that are not read any more, when all is counted."""
        over = (
            select(LogSource.id)
            .where(
                ~exists().where(LogCursor.container_id == LogSource.container_id),
                LogSource.shipped >= (LogSource.stored if self._ships else -1),
            )
            .limit(_BATCH)
        )
        with self._database.reading() as session:
            found = session.scalars(over).all()
        if not found:
            return
        # By the environment too: its lines have an index.
        lines = exists().where(
            LogEntry.environment_id == LogSource.environment_id,
            LogEntry.source_id == LogSource.id,
        )
        with self._database.writing() as session:
            session.execute(delete(LogSource).where(LogSource.id.in_(found), ~lines))


def _has_another() -> ColumnElement[bool]:
    return and_(
        Environment.container_id.is_not(None), Environment.container_id != LogCursor.container_id
    )


def _lock(session: Session, environments: set[str]) -> None:
    """Wait for whoever deletes one of the environments, before any of its rows is touched."""
    session.execute(
        select(Environment.id)
        .where(Environment.id.in_(sorted(environments)))
        .order_by(Environment.id)
        .with_for_update(read=True, key_share=True)
    )


def _delete(session: Session, ids: Sequence[int]) -> int:
    gone = session.execute(
        delete(LogEntry)
        .where(LogEntry.id.in_(ids))
        .returning(LogEntry.environment_id, LogEntry.size)
    ).all()
    sizes: Counter[str] = Counter()
    for environment_id, size in gone:
        sizes[environment_id] += size
    for environment_id, size in sorted(sizes.items()):
        session.execute(
            update(LogUsage)
            .where(LogUsage.environment_id == environment_id)
            .values(bytes=LogUsage.bytes - size)
        )
    return len(gone)
