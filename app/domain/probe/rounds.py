"""The record of rounds, which is the one source of what is told of them.

Rounds are made by the leading agent or by a command. Both write a row here; the leading agent puts
finished ones into the metrics, and a scrape and the doctor read the rest. A row that is open keeps
others from beginning, until it is due: then whoever made it was cut off, and it says nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from app.core.errors import ProbeUnderWayError
from app.storage import Database, Installation, ProbeRound, now

PLACES = ("agent", "command")
_KEPT = timedelta(days=7)
# Nobody counts them where no agent leads.
_KEPT_UNCOUNTED = timedelta(days=30)
_LONGEST = timedelta(hours=1)


@dataclass(frozen=True)
class Outcome:
    """How a round ended: `step` None is well; `seconds` by step."""

    seconds: Mapping[str, float]
    step: str | None = None
    says: str | None = None
    next_step: str | None = None


class ProbeRounds:
    """Writes and reads rounds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, place: str, seconds: float) -> str:
        """Begin a round that takes so many seconds at most, and return its id.

        Raises: ProbeUnderWayError where another one goes on; StorageError.
        """
        with self._database.writing() as session:
            # Its one row is the lock: of two that begin at once, the second finds the first.
            session.execute(select(Installation.id).with_for_update())
            moment = now(session)
            # What is due later than any round takes was written by a clock that was set back.
            due = ProbeRound.due_at.between(moment, moment + _LONGEST)
            is_open = ProbeRound.finished_at.is_(None)
            if session.scalar(select(exists().where(is_open, due))):
                raise ProbeUnderWayError
            session.execute(delete(ProbeRound).where(is_open))
            _forget_old(session, moment)
            _bring_back(session, moment)
            made = ProbeRound(
                place=place,
                started_at=moment,
                due_at=moment + timedelta(seconds=seconds),
                seconds={},
            )
            session.add(made)
            session.flush()
            return made.id

    def finish(self, round_id: str, outcome: Outcome) -> None:
        """Write how the round ended. Raises: StorageError."""
        with self._database.writing() as session:
            session.execute(
                update(ProbeRound)
                .where(ProbeRound.id == round_id)
                .values(
                    finished_at=now(session),
                    seconds=dict(outcome.seconds),
                    step=outcome.step,
                    says=outcome.says,
                    next_step=outcome.next_step,
                )
            )

    def drop(self, round_id: str) -> None:
        """Forget a round that was cut off by whoever made it. Raises: StorageError."""
        with self._database.writing() as session:
            session.execute(delete(ProbeRound).where(ProbeRound.id == round_id))

    def seconds_since_last(self) -> float | None:
        """Return how long ago the last one began; None where none has. Raises: StorageError."""
        with self._database.reading() as session:
            last = session.scalar(select(func.max(ProbeRound.started_at)))
            # One that is yet to come is as old as it is early: the clock was set back.
            return None if last is None else abs((now(session) - last).total_seconds())


def _forget_old(session: Session, moment: datetime) -> None:
    counted = ProbeRound.counted & (ProbeRound.finished_at < moment - _KEPT)
    uncounted = ProbeRound.finished_at < moment - _KEPT_UNCOUNTED
    session.execute(delete(ProbeRound).where(or_(counted, uncounted)))


def _bring_back(session: Session, moment: datetime) -> None:
    """Have no round be yet to come: the clock was set back.

    One that stayed there would be the last for as long, so that each look would find another one
    due, and no success would be newer.
    """
    for column in (ProbeRound.started_at, ProbeRound.finished_at):
        session.execute(update(ProbeRound).where(column > moment).values({column: moment}))
