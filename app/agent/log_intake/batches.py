"""Stores batches of lines: lines, cursors, usage and counts in one transaction.

The cursor is what makes it exactly once. It moves with the lines, and only from where the reader
began: a batch whose commit got no answer and is sent again, or that of a leader who does not know
that it was replaced, finds the cursor elsewhere and stores nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.agent.log_intake.lines import Line
from app.agent.log_intake.positions import Position, Positions
from app.core.errors import StorageError
from app.domain.durable_counters import DurableCounters
from app.storage import (
    Database,
    DurableCounter,
    Environment,
    LogCursor,
    LogEntry,
    LogSource,
    LogStream,
    LogUsage,
    insert_missing,
)
from app.storage.fence import Fence


class FencedError(Exception):
    """Another process leads, or may lead at any moment."""


@dataclass(frozen=True, eq=False)
class Portion:
    """Lines of one container, in their order, and the positions before and after them."""

    environment_id: str
    container_id: str
    lines: Sequence[Line]
    before: Positions
    after: Positions


@dataclass(frozen=True)
class Outcome:
    """Which portions are stored, and of which nothing was, since others have moved their cursor.

    An environment that was deleted has no cursor any more.
    """

    stored: Sequence[Portion]
    refused: Sequence[Portion]


class Batches:
    """The one place that writes lines."""

    def __init__(
        self,
        database: Database,
        counts: DurableCounters,
        fence: Fence,
        is_certain: Callable[[], bool] = lambda: True,
    ) -> None:
        """See `LogIntake` for the arguments."""
        self._database = database
        self._counts = counts
        self._fence = fence
        self._is_certain = is_certain

    def positions(self, container_id: str) -> dict[str, Position]:
        """Return how far the container is taken in. Raises: StorageUnavailableError."""
        with self._database.reading() as session:
            return _cursors(session, [container_id]).get(container_id, {})

    def store(self, portions: Sequence[Portion]) -> Outcome:
        """Store the portions, each of another container; may be called again after a failure.

        Raises: FencedError, StorageUnavailableError. Either may come after the change was made.
        """
        with self._database.writing() as session:
            self._check_fence(session)
            # Locked first of all, in one order: whoever deletes an environment locks it first too.
            present = _lock_environments(session, {portion.environment_id for portion in portions})
            cursors = _cursors(session, [portion.container_id for portion in portions], lock=True)
            new, known, refused = [], [], []
            for portion in portions:
                cursor = cursors.get(portion.container_id, {})
                if portion.environment_id not in present:
                    refused.append(portion)
                elif cursor == portion.before:
                    new.append(portion)
                elif cursor == portion.after:
                    # It was committed, though the answer was lost; its metric did not follow yet.
                    known.append(portion)
                else:
                    refused.append(portion)
            if new:
                self._add(session, new)
        if not self._is_certain():
            raise FencedError
        self._tell([*new, *known])
        return Outcome([*new, *known], refused)

    def _check_fence(self, session: Session) -> None:
        try:
            self._fence(session)
        except (StorageError, DBAPIError):
            raise
        except Exception as error:
            raise FencedError from error

    def _add(self, session: Session, portions: Sequence[Portion]) -> None:
        numbers = _take_numbers(session, portions)
        session.connection().execute(insert(LogEntry), list(_rows(portions, numbers)))
        for portion in portions:
            _move_cursors(session, portion)
        _raise_usage(session, portions)
        for stream, amount in _by_stream(portions):
            self._counts.add(session, DurableCounter.LOG_ENTRIES, stream, amount)

    def _tell(self, portions: Sequence[Portion]) -> None:
        for stream, amount in _by_stream(portions):
            self._counts.tell(DurableCounter.LOG_ENTRIES, stream, amount)


def _lock_environments(session: Session, ids: Iterable[str]) -> set[str]:
    """Keep the environments from being deleted, and return those that exist."""
    return set(
        session.scalars(
            select(Environment.id)
            .where(Environment.id.in_(sorted(ids)))
            .order_by(Environment.id)
            .with_for_update(read=True, key_share=True)
        )
    )


def _cursors(
    session: Session, containers: Sequence[str], *, lock: bool = False
) -> Mapping[str, dict[str, Position]]:
    query = (
        select(LogCursor.container_id, LogCursor.stream, LogCursor.at_ns, LogCursor.taken)
        .where(LogCursor.container_id.in_(containers))
        .order_by(LogCursor.container_id, LogCursor.stream)
    )
    found: dict[str, dict[str, Position]] = {}
    for container, stream, at_ns, taken in session.execute(
        query.with_for_update() if lock else query
    ):
        found.setdefault(container, {})[stream.value] = Position(at_ns, taken)
    return found


def _take_numbers(session: Session, portions: Sequence[Portion]) -> dict[str, tuple[int, int]]:
    """Give the lines of each container the next numbers; return its source and the last before."""
    environments = {portion.container_id: portion.environment_id for portion in portions}
    query = (
        select(LogSource.container_id, LogSource.id, LogSource.stored)
        .where(LogSource.container_id.in_(environments))
        .order_by(LogSource.container_id)
        .with_for_update()
    )
    found = {container: (id, stored) for container, id, stored in session.execute(query)}
    if new := environments.keys() - found.keys():
        rows = [
            {"container_id": it, "environment_id": environments[it], "stored": 0, "shipped": 0}
            for it in sorted(new)
        ]
        insert_missing(session, LogSource, rows)
        found = {container: (id, stored) for container, id, stored in session.execute(query)}
    for portion in portions:
        id, stored = found[portion.container_id]
        raised = {"stored": stored + len(portion.lines)}
        session.execute(update(LogSource).where(LogSource.id == id).values(**raised))
    return found


def _rows(
    portions: Sequence[Portion], numbers: Mapping[str, tuple[int, int]]
) -> Iterable[dict[str, Any]]:
    for portion in portions:
        source, stored = numbers[portion.container_id]
        for seq, (stream, at_ns, text, size) in enumerate(portion.lines, stored + 1):
            yield {
                "environment_id": portion.environment_id,
                "stream": stream,
                "at_ns": at_ns,
                "line": text,
                "size": size,
                "source_id": source,
                "seq": seq,
            }


def _move_cursors(session: Session, portion: Portion) -> None:
    for stream, position in portion.after.items():
        moved = {"at_ns": position.at_ns, "taken": position.taken}
        key = {"container_id": portion.container_id, "stream": LogStream(stream)}
        if stream not in portion.before:
            owned = {**key, "environment_id": portion.environment_id}
            session.execute(insert(LogCursor).values(**owned, **moved))
        elif position != portion.before[stream]:
            session.execute(update(LogCursor).filter_by(**key).values(**moved))


def _raise_usage(session: Session, portions: Sequence[Portion]) -> None:
    sizes: Counter[str] = Counter()
    for portion in portions:
        sizes[portion.environment_id] += sum(line.size for line in portion.lines)
    for environment_id, size in sorted(sizes.items()):
        raised = session.execute(
            update(LogUsage)
            .where(LogUsage.environment_id == environment_id)
            .values(bytes=LogUsage.bytes + size)
            .returning(LogUsage.environment_id)
        )
        if raised.first() is None:
            session.execute(insert(LogUsage).values(environment_id=environment_id, bytes=size))


def _by_stream(portions: Sequence[Portion]) -> list[tuple[str, int]]:
    return sorted(Counter(line.stream for portion in portions for line in portion.lines).items())
