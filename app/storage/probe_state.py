"""What the rows of the synthetic user's rounds say: read by the scrape and by the doctor alike."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, true
from sqlalchemy.orm import Session

from app.storage.clock import now
from app.storage.models import AgentReport, ProbeRound, Report


@dataclass(frozen=True)
class ProbeState:
    """What is known of the rounds: the last finished one, and since when none has succeeded.

    Those from before rounds are awaited are of another time, in which somebody had switched the
    probe off. `age` is the seconds since the last success, or since rounds are awaited or, where
    nobody has said that, since the first one; None where there is nothing. `failures` is how many
    have failed since.
    """

    last: ProbeRound | None
    age: float | None
    has_succeeded: bool
    failures: int


def state(session: Session) -> ProbeState:
    """Return it, by the database's clock. Raises: StorageError."""
    moment = now(session)
    awaited: datetime | None = session.scalar(
        select(AgentReport.at).where(AgentReport.name == Report.PROBE)
    )
    counts = _since(awaited, moment)
    finished = counts & ProbeRound.finished_at.is_not(None)
    success_at: datetime | None = session.scalar(
        select(func.max(ProbeRound.finished_at)).where(finished, ProbeRound.step.is_(None))
    )
    since = success_at or awaited or session.scalar(select(func.min(ProbeRound.started_at)))
    if since is None:
        return ProbeState(None, None, False, 0)
    failed = select(func.count()).where(finished, ProbeRound.step.is_not(None))
    if success_at is not None:
        failed = failed.where(ProbeRound.finished_at > success_at)
    newest = select(ProbeRound).where(finished).order_by(ProbeRound.finished_at.desc()).limit(1)
    # A time that is yet to come is as old as it is early: the clock was set back.
    age = abs((moment - since).total_seconds())
    return ProbeState(
        session.scalar(newest), age, success_at is not None, session.scalar(failed) or 0
    )


def _since(awaited: datetime | None, moment: datetime) -> ColumnElement[bool]:
    """Return the condition that a round counts: all do where it was awaited by another clock."""
    if awaited is None or awaited > moment:
        return true()
    return ProbeRound.started_at >= awaited
