"""Books readings: rows and cursors in one transaction, under the leader's fence.

The cursor is what makes it exactly once. What is booked is what lies between the cursor that the
very transaction reads and the new reading, so that a process may die, and a commit get no answer,
at any moment: the next reading begins where the database says.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, or_, select, tuple_
from sqlalchemy.orm import Session

from app.domain.usage.booking import Totals, book, book_end
from app.domain.usage.moments import Moment, Moments
from app.domain.usage.rows import OWNER_COLUMNS, Owner, Rows
from app.storage import (
    ContainerExit,
    Database,
    Environment,
    ExitReason,
    Project,
    Team,
    UsageCursor,
    UsageRow,
    User,
    add_rows,
)
from app.storage.fence import Fence

# Ends that are booked in one transaction.
_ENDS = 250
_CURSOR_KEY = ("container_id", "run_started")
_MAYBE = ("memory_peak_bytes", "oom_kills", "network_rx_bytes", "network_tx_bytes")
_TOTALS = tuple(field.name for field in fields(Totals))


class Run(NamedTuple):
    """One run of a container; `started` is Docker's word for its start."""

    container_id: str
    started: str


@dataclass(frozen=True)
class Reading:
    """What a run has used up to a moment; `memory_limit_bytes` is 0 without a limit.

    Peak, kills and network of the totals are -1 where the source does not tell them. `taken_at` is
    the same moment in seconds of a clock that nobody sets. `is_last`: it was taken when the run had
    ended, and has all of it.
    """

    run: Run
    environment_id: str
    totals: Totals
    memory_limit_bytes: int
    taken_at: float
    is_last: bool = False

    @property
    def moment(self) -> Moment:
        """When it was taken, by both clocks."""
        return Moment(self.run.started, self.totals.read_at_ns, self.taken_at)


class Ledger:
    """The one place that books."""

    def __init__(self, database: Database, fence: Fence) -> None:
        """`fence` is called first in each transaction; see `app.storage.fence`."""
        self._database = database
        self._fence = fence
        self._moments = Moments()

    def store(self, readings: Sequence[Reading]) -> None:
        """Book readings, each of another run; may be called again after a failure.

        Raises: StorageError, which may come after the change was made; and what the fence raises.
        """
        with self._database.writing() as session:
            self._fence(session)
            owners = owners_of(session, {reading.environment_id for reading in readings})
            cursors = _cursors(session, {reading.run.container_id for reading in readings})
            rows, moved = Rows(), []
            for reading in sorted(readings, key=lambda reading: reading.run):
                cursor = cursors.get(reading.run)
                before = None if cursor is None else _totals(cursor)
                after = _completed(reading, before)
                bookings = book(
                    before, after, _began(reading.run, after), self._leapt(reading, before)
                )
                owner = owners.get(reading.environment_id, Owner())
                rows.add(reading.environment_id, owner, bookings, reading.memory_limit_bytes)
                ended = _is_whole(reading) or (cursor is not None and cursor.ended)
                moved.append(_cursor_row(reading.run, reading.environment_id, after, ended=ended))
            rows.write(session)
            _move(session, moved)
        self._moments.note((reading.run.container_id, reading.moment) for reading in readings)

    def _leapt(self, reading: Reading, before: Totals | None) -> int:
        booked = 0 if before is None else before.read_at_ns
        return self._moments.leapt(reading.run.container_id, booked, reading.moment)

    def ended(self) -> list[Run]:
        """Return some runs whose end is known and not booked yet. Raises: StorageError."""
        with self._database.reading() as session:
            found = session.execute(_ENDED_RUNS.limit(_ENDS))
            return [Run(ended.container_id, ended.run_started) for ended, _ in found]

    def close(self, runs: Sequence[Run]) -> None:
        """Book the ends of these runs, of those that are not booked yet.

        Of a run that nobody read, all that is known is how long it lasted. Raises as `store` does.
        """
        self._moments.forget(run.container_id for run in runs)
        named = tuple_(ContainerExit.container_id, ContainerExit.run_started).in_(runs)
        with self._database.writing() as session:
            self._fence(session)
            found = session.execute(_ENDED_RUNS.where(named)).all()
            owners = owners_of(session, {ended.environment_id for ended, _ in found})
            rows, moved = Rows(), []
            for ended, cursor in found:
                run = Run(ended.container_id, ended.run_started)
                before = None if cursor is None else _totals(cursor)
                at = _nanoseconds(ended.exited_at)
                bookings = book_end(
                    before,
                    at,
                    min(_nanoseconds_of(run.started, at), at),
                    oom=_ran_out(ended, before),
                )
                rows.add(
                    ended.environment_id, owners.get(ended.environment_id, Owner()), bookings, 0
                )
                # A run that goes on all the same, unseen, is not booked twice for this time.
                last = before or Totals(at)
                last = replace(last, read_at_ns=max(at, last.read_at_ns))
                moved.append(_cursor_row(run, ended.environment_id, last, ended=True))
            rows.write(session)
            _move(session, moved)


def _ran_out(ended: ContainerExit, before: Totals | None) -> bool:
    """Tell whether the end was a kill for want of memory; a flag may be of an earlier run."""
    return ended.reason is ExitReason.OOM or (before is None and bool(ended.oom_killed))


_ENDED_RUNS = (
    select(ContainerExit, UsageCursor)
    .outerjoin(
        UsageCursor,
        and_(
            UsageCursor.container_id == ContainerExit.container_id,
            UsageCursor.run_started == ContainerExit.run_started,
        ),
    )
    .where(or_(UsageCursor.container_id.is_(None), ~UsageCursor.ended))
    .order_by(ContainerExit.container_id, ContainerExit.run_started)
)


def owners_of(session: Session, environments: Collection[str]) -> dict[str, Owner]:
    """Return whose these environments are; of one that is gone, whose it was when it was booked."""
    query: Any = (
        select(
            Environment.id,
            Environment.name,
            Project.id,
            Project.name,
            Team.id,
            Team.name,
            User.id,
            User.email,
            Environment.is_synthetic,
        )
        .join(Project, Project.id == Environment.project_id)
        .outerjoin(Team, Team.id == Project.owner_team_id)
        .outerjoin(User, User.id == Environment.created_by)
        .where(Environment.id.in_(sorted(environments)))
    )
    found = {id: Owner(*rest) for id, *rest in session.execute(query)}
    if gone := sorted(set(environments) - found.keys()):
        columns: Any = (getattr(UsageRow, name) for name in OWNER_COLUMNS)
        booked = (
            select(UsageRow.environment_id, *columns)
            .where(UsageRow.environment_id.in_(gone))
            .order_by(UsageRow.starts_at)
        )
        found |= {id: Owner(*rest) for id, *rest in session.execute(booked)}
        ended = select(ContainerExit.environment_id).where(
            ContainerExit.environment_id.in_(gone), ContainerExit.is_synthetic
        )
        found |= {id: Owner(is_synthetic=True) for id in session.scalars(ended)}
    return found


def _cursors(session: Session, containers: Iterable[str]) -> Mapping[Run, UsageCursor]:
    query = select(UsageCursor).where(UsageCursor.container_id.in_(sorted(containers)))
    # Locked in one order, as they are written.
    ordered = query.order_by(UsageCursor.container_id, UsageCursor.run_started).with_for_update()
    return {Run(row.container_id, row.run_started): row for row in session.scalars(ordered)}


def _totals(cursor: UsageCursor) -> Totals:
    return Totals(**{name: getattr(cursor, name) for name in _TOTALS})


def _completed(reading: Reading, before: Totals | None) -> Totals:
    """Return the totals with what their source does not tell as it was before."""
    known = before or Totals(0)
    told = {name: getattr(reading.totals, name) for name in _TOTALS}
    for name in _MAYBE:
        if told[name] < 0:
            told[name] = getattr(known, name)
    if reading.is_last:
        # Its memory is free by then: it held to its end what it held before.
        told["memory_bytes"] = known.memory_bytes
    return Totals(**told)


def _is_whole(reading: Reading) -> bool:
    """Tell whether nothing is left to be booked of the run when its end is known.

    An old kernel counts no kills for want of memory: of those the record of the end tells.
    """
    return reading.is_last and reading.totals.oom_kills >= 0


def _cursor_row(run: Run, environment_id: str, totals: Totals, *, ended: bool) -> dict[str, Any]:
    told = {name: getattr(totals, name) for name in _TOTALS}
    key = {"container_id": run.container_id, "run_started": run.started}
    return {**key, "environment_id": environment_id, "ended": ended, **told}


def _move(session: Session, moved: Sequence[dict[str, Any]]) -> None:
    changed = ("ended", *_TOTALS)
    add_rows(session, UsageCursor, moved, key=_CURSOR_KEY, added=(), changed=changed)


def _began(run: Run, after: Totals) -> int:
    return min(_nanoseconds_of(run.started, after.read_at_ns), after.read_at_ns)


def _nanoseconds_of(started: str, otherwise: int) -> int:
    """Return Docker's moment in nanoseconds since 1970; `otherwise` where it is none."""
    try:
        return _nanoseconds(datetime.fromisoformat(started))
    except ValueError:
        return otherwise


def _nanoseconds(moment: datetime) -> int:
    passed = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return ((passed.days * 86400 + passed.seconds) * 1_000_000 + passed.microseconds) * 1000
