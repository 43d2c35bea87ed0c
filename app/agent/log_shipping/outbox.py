"""Which lines are to be sent, and which have been: in the database, where the lines are.

Lines leave in the order of their ids, which is that in which they were stored. `position` says up
to which the receiver has acknowledged them. Before a batch is sent, its end is written down beside
it (`sending_to`): whoever finds that, after a death or without an answer, sends the same lines
again, and counts them as in doubt. Every change begins with the leader's fence, which intake waits
for too: while a transaction of ours lasts, no line is stored.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import exists, null, select, update
from sqlalchemy.orm import Session

from app.core.errors import LeadershipLostError
from app.core.log_receiver import ShippedLine
from app.domain.durable_counters import DurableCounters
from app.storage import (
    Database,
    DurableCounter,
    Environment,
    LogEntry,
    LogShipping,
    LogSource,
    Project,
    Team,
)
from app.storage.fence import Fence

MOST_LINES = 1000
_MOST_BYTES = 380_000
"""Of a batch, with what is said beside the text: no receiver that we know refuses so much."""
_BESIDE = 200
_SLOT = 1
_FROM_THE_FIRST = -1
"""Of a container from before this was switched on: the first line that is sent is its first."""
_COUNTER = DurableCounter.CONTAINER_LOG_LINES
Counts = dict[str, int]


@dataclass(frozen=True)
class Batch:
    """Lines that are sent together: those behind `position`, up to `end`."""

    position: int
    end: int
    lines: Sequence[ShippedLine]


class Outbox:
    """The lines of all containers.

    Every method may raise StorageUnavailableError, and LeadershipLostError where another leads.
    """

    def __init__(
        self,
        database: Database,
        counts: DurableCounters,
        fence: Fence,
        is_certain: Callable[[], bool] = lambda: True,
        *,
        with_team: bool = False,
    ) -> None:
        """See `LogIntake` for fence and is_certain; with_team: say the team of each line."""
        self._database = database
        self._counts = counts
        self._fence = fence
        self._is_certain = is_certain
        self._with_team = with_team

    def take(self, most: int = MOST_LINES) -> Batch | None:
        """Return what is to be sent now, at most so many lines; None where nothing is.

        What somebody began to send, and nobody knows the answer to, comes first, as it was.
        """
        if not self._is_work():
            return None
        with self._changing() as session:
            at = _place(session) or _begin(session)
            doubtful = at.sending_to is not None
            end = at.sending_to or _end(session, at.position, most)
            if end is None:
                return None
            at.sending_to = end
            batch = Batch(at.position, end, self._lines(session, at.position, end))
            told = self._count(session, {"doubtful": len(batch.lines) if doubtful else 0})
        self._tell(told)
        return batch

    def withdraw(self, batch: Batch) -> None:
        """Note that nothing of the batch was taken: what is taken next may be another."""
        with self._changing() as session:
            _place_of(session, batch).sending_to = None

    def through(self, batch: Batch, result: str, rejected: int = 0) -> None:
        """Note that the batch needs no more sending; `result` says what became of its lines."""
        rejected = min(rejected, len(batch.lines))
        with self._changing() as session:
            at = _place_of(session, batch)
            at.position, at.sending_to = batch.end, None
            lost = _move_sources(session, batch.lines)
            told = self._count(
                session,
                {result: len(batch.lines) - rejected, "rejected": rejected, "lost": lost},
            )
        self._tell(told)

    def settle(self) -> int:
        """Count the lines that were deleted behind the last one sent; return their number.

        For when there is nothing to be sent.
        """
        with self._database.reading() as session:
            if not session.scalar(select(exists().where(LogSource.stored > LogSource.shipped))):
                return 0
        with self._changing() as session:
            lost = _give_up(session)
            told = self._count(session, {"lost": lost})
        self._tell(told)
        return lost

    def _is_work(self) -> bool:
        with self._database.reading() as session:
            at = session.get(LogShipping, _SLOT)
            if at is None or at.sending_to is not None:
                return True
            return bool(session.scalar(select(exists().where(LogEntry.id > at.position))))

    def _lines(self, session: Session, position: int, end: int) -> list[ShippedLine]:
        found = session.execute(
            select(
                LogSource.container_id,
                LogEntry.environment_id,
                Team.name if self._with_team else null(),
                LogEntry.stream,
                LogEntry.at_ns,
                LogEntry.seq,
                LogEntry.line,
            )
            .join(LogSource, LogSource.id == LogEntry.source_id)
            .join(Environment, Environment.id == LogEntry.environment_id)
            .join(Project, Project.id == Environment.project_id)
            .outerjoin(Team, Team.id == Project.owner_team_id)
            .where(LogEntry.id > position, LogEntry.id <= end)
            .order_by(LogEntry.id)
        )
        return [
            ShippedLine(container, environment, team, stream.value, at_ns, seq or 0, text)
            for container, environment, team, stream, at_ns, seq, text in found
        ]

    @contextmanager
    def _changing(self) -> Iterator[Session]:
        with self._database.writing() as session:
            self._fence(session)
            yield session

    def _count(self, session: Session, numbers: Counts) -> Counts:
        told = {result: number for result, number in numbers.items() if number}
        for result, number in told.items():
            self._counts.add(session, _COUNTER, result, number)
        return told

    def _tell(self, numbers: Counts) -> None:
        """Let the metric follow, unless the next leader may already backfill it."""
        if not self._is_certain():
            raise LeadershipLostError
        for result, number in numbers.items():
            self._counts.tell(_COUNTER, result, number)


def _place(session: Session) -> LogShipping | None:
    return session.get(LogShipping, _SLOT, with_for_update=True)


def _place_of(session: Session, batch: Batch) -> LogShipping:
    """Return the place, where it is still that of the batch. Raises: LeadershipLostError."""
    at = _place(session)
    if at is None or (at.position, at.sending_to) != (batch.position, batch.end):
        raise LeadershipLostError
    return at


def _begin(session: Session) -> LogShipping:
    """Send what there is; what was deleted before this was switched on is not lost on the way."""
    session.execute(update(LogSource).values(shipped=_FROM_THE_FIRST))
    at = LogShipping(slot=_SLOT, position=0)
    session.add(at)
    return at


def _end(session: Session, position: int, most: int) -> int | None:
    """Return the last id of the next batch, None where there is none."""
    found = session.execute(
        select(LogEntry.id, LogEntry.size)
        .where(LogEntry.id > position)
        .order_by(LogEntry.id)
        .limit(most)
    )
    end, size = None, 0
    for id, bytes_ in found:
        size += bytes_ + _BESIDE
        if end is not None and size > _MOST_BYTES:
            break
        end = id
    return end


def _move_sources(session: Session, lines: Sequence[ShippedLine]) -> int:
    """Note what was sent of each container; return how many of its numbers were left out."""
    last = {line.container_id: line.seq for line in lines}
    first = {line.container_id: line.seq for line in reversed(lines)}
    sent = Counter(line.container_id for line in lines)
    sources = session.scalars(
        select(LogSource)
        .where(LogSource.container_id.in_(last))
        .order_by(LogSource.container_id)
        .with_for_update()
    )
    lost = 0
    for source in sources:
        begins, ends = first[source.container_id], last[source.container_id]
        before = begins - 1 if source.shipped == _FROM_THE_FIRST else source.shipped
        lost += max(0, ends - before - sent[source.container_id])
        source.shipped = ends
    return lost


def _give_up(session: Session) -> int:
    """Take what was stored and is not there any more for sent; return how much that is."""
    at = _place(session)
    if at is None or at.sending_to is not None:
        return 0
    waiting = exists().where(LogEntry.source_id == LogSource.id, LogEntry.id > at.position)
    sources = session.scalars(
        select(LogSource)
        .where(LogSource.stored > LogSource.shipped, ~waiting)
        .order_by(LogSource.container_id)
        .with_for_update()
    )
    lost = 0
    for source in sources:
        if source.shipped != _FROM_THE_FIRST:
            lost += source.stored - source.shipped
        source.shipped = source.stored
    return lost
