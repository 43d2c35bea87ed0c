"""What the rows of the synthetic user's rounds say: read by the scrape and by the doctor alike."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.storage.clock import now
from app.storage.models import ProbeRound


@dataclass(frozen=True)
class ProbeState:
    """What is known of the rounds: the last finished one, and since when none has succeeded.

    `age` is the seconds since the last success, or since the first round that is known; None where
    there is none. `failures` is how many have failed since.
    """

    last: ProbeRound | None
    age: float | None
    has_succeeded: bool
    failures: int


def state(session: Session) -> ProbeState:
    """Return it, by the database's clock. Raises: StorageError."""
    succeeded = ProbeRound.finished_at.is_not(None) & ProbeRound.step.is_(None)
    success_at: datetime | None = session.scalar(
        select(func.max(ProbeRound.finished_at)).where(succeeded)
    )
    since = success_at or session.scalar(select(func.min(ProbeRound.started_at)))
    if since is None:
        return ProbeState(None, None, False, 0)
    failed = select(func.count()).where(ProbeRound.step.is_not(None))
    if success_at is not None:
        failed = failed.where(ProbeRound.finished_at > success_at)
    newest = (
        select(ProbeRound)
        .where(ProbeRound.finished_at.is_not(None))
        .order_by(ProbeRound.finished_at.desc())
        .limit(1)
    )
    age = abs((now(session) - since).total_seconds())
    return ProbeState(
        session.scalar(newest), age, success_at is not None, session.scalar(failed) or 0
    )
