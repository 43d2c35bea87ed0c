"""Records of pulls that starts wait for: how they begin, how far they are, how they end early."""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from app.core.trace_context import Parent, traceparent
from app.domain.environments.transitions import OPEN_PULLS, Transition, held
from app.engine import PullProgress
from app.storage import (
    Database,
    Environment,
    EnvironmentStatus,
    ImagePull,
    PullStatus,
    db_now,
)

CANCELLED = "cancelled"
"""`ImagePull.error` of a pull that somebody stopped; else it is the slug of the start's problem."""


@dataclass(frozen=True)
class TakenPull:
    """A pull that is this process's; `requested_at` by the monotonic clock here."""

    id: str
    image: str
    requested_at: float
    transition: Transition
    asked_by: Parent | None = None
    """The trace of the request that asked for it."""

    def seconds(self) -> float:
        """Return how long ago the start was accepted."""
        return time.monotonic() - self.requested_at

    def ours(self) -> ColumnElement[bool]:
        """Return the condition that the pull goes on, and here."""
        return and_(
            ImagePull.id == self.id,
            ImagePull.status == PullStatus.PULLING,
            ImagePull.started_at == self.transition.since,
        )


def queue(database: Database, transition: Transition, user_id: str) -> str | None:
    """Leave the transition to the agent, which pulls the image first, as this account's.

    Returns: the id of the pull; None where the transition was taken over meanwhile.
    """
    environment = transition.environment
    with database.writing() as session:
        left = session.scalar(
            update(Environment)
            .where(held(transition))
            .values(held_by=None)
            .returning(Environment.id)
        )
        if left is None:
            return None
        pull = ImagePull(
            environment_id=environment.id,
            image=environment.image,
            requested_by=user_id,
            requested_at=transition.since,
            traceparent=traceparent(),
        )
        session.add(pull)
        session.flush()
        return pull.id


def cancel(session: Session, environment: Environment) -> bool:
    """End the open pull that a start waits for, and with it the start; False where there is none.

    The caller holds the environment's row. The agent notices when it writes the next progress.
    """
    if environment.status is not EnvironmentStatus.STARTING:
        return False
    ended = session.scalars(
        update(ImagePull)
        .where(ImagePull.environment_id == environment.id, ImagePull.status.in_(OPEN_PULLS))
        .values(status=PullStatus.FAILED, error=CANCELLED, finished_at=db_now())
        .returning(ImagePull.id)
    ).all()
    if not ended:
        return False
    session.execute(
        update(Environment)
        .where(Environment.id == environment.id)
        .values(
            status=EnvironmentStatus.STOPPED,
            status_changed_at=db_now(),
            held_by=None,
            error=None,
            end_requested=False,
            published_ports=[],
        )
    )
    return True


def show(session: Session, environments: Iterable[Environment]) -> None:
    """Give each environment the pull that its start waits for, if it does."""
    by_id = {environment.id: environment for environment in environments}
    starting = [e.id for e in by_id.values() if e.status is EnvironmentStatus.STARTING]
    found: dict[str, ImagePull] = {}
    if starting:
        waiting = ImagePull.environment_id.in_(starting), ImagePull.status.in_(OPEN_PULLS)
        pulls = session.scalars(select(ImagePull).where(*waiting))
        found = {pull.environment_id: pull for pull in pulls}
    for identity, environment in by_id.items():
        set_committed_value(environment, "pull_progress", found.get(identity))


def latest(session: Session, environment_id: str) -> ImagePull | None:
    """Return the environment's newest pull, whatever became of it."""
    return session.scalars(
        select(ImagePull)
        .where(ImagePull.environment_id == environment_id)
        .order_by(ImagePull.requested_at.desc())
        .limit(1)
    ).first()


def note(database: Database, taken: TakenPull, progress: PullProgress, status: PullStatus) -> bool:
    """Record how far a pull is; False where it is this process's no more.

    Raises: StorageUnavailableError.
    """
    done = status is PullStatus.DONE
    with database.writing() as session:
        ours = session.scalar(
            update(ImagePull)
            .where(taken.ours())
            .values(
                status=status,
                layers=[asdict(layer) for layer in progress.layers],
                bytes_done=progress.bytes_done,
                bytes_total=progress.bytes_total,
                finished_at=db_now() if done else None,
            )
            .returning(ImagePull.id)
        )
    return ours is not None
