"""Changes of an environment's status, by compare-and-swap in the database.

Of two that want to change it at once, one wins; the other gets a conflict. A change that calls
Docker holds the environment in a status of passage (starting, stopping) meanwhile, and no database
connection. A process that dies there leaves the passage behind; once it is older than any live one
can be, the next change takes it over.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, update

from app.errors import EnvironmentConflictError, EnvironmentNotFoundError
from app.storage import Database, Environment, EnvironmentStatus, utc_now

PASSAGES = (EnvironmentStatus.STARTING, EnvironmentStatus.STOPPING)


class Passage:
    """An environment that one caller holds; `environment` is its row as it was before."""

    def __init__(self, environment: Environment, through: EnvironmentStatus, since: datetime):
        self.environment = environment
        self.through = through
        self.since = since


class Transitions:
    """Begins and ends passages; `abandoned_after` is in seconds."""

    def __init__(self, database: Database, *, abandoned_after: float) -> None:
        self._database = database
        self._abandoned_after = timedelta(seconds=abandoned_after)

    def begin(
        self,
        owner_id: str,
        environment_id: str,
        allowed: Collection[EnvironmentStatus],
        through: EnvironmentStatus,
    ) -> Passage:
        """Take the environment from one of the `allowed` statuses into the passage `through`.

        Raises: EnvironmentNotFoundError, or EnvironmentConflictError where it is in another
        status, or where somebody else was quicker.
        """
        now = utc_now()
        with self._database.writing() as session:
            # Locked, so that what is read here is what the update finds.
            environment = session.scalar(
                select(Environment)
                .where(Environment.id == environment_id, Environment.owner_id == owner_id)
                .with_for_update()
            )
            if environment is None:
                raise EnvironmentNotFoundError
            session.expunge(environment)
            taken = session.scalar(
                update(Environment)
                .where(Environment.id == environment_id, self._free(allowed, now))
                .values(status=through, status_changed_at=now)
                .returning(Environment.id)
            )
            if taken is None:
                raise EnvironmentConflictError(_conflict(environment, allowed))
        if environment.status in PASSAGES:
            environment.status = EnvironmentStatus.ERROR
            environment.error = "An earlier change was cut off before its end."
        return Passage(environment, through, now)

    def end(self, passage: Passage, status: EnvironmentStatus, **changes: Any) -> None:
        """Leave the passage for `status`, changing other columns with it.

        Does nothing where the passage was taken over meanwhile.
        """
        with self._database.writing() as session:
            session.execute(
                update(Environment)
                .where(held(passage))
                .values(status=status, status_changed_at=utc_now(), **changes)
            )

    def _free(self, allowed: Collection[EnvironmentStatus], now: datetime) -> ColumnElement[bool]:
        abandoned = and_(
            Environment.status.in_(PASSAGES),
            Environment.status_changed_at < now - self._abandoned_after,
        )
        return or_(Environment.status.in_(allowed), abandoned)


def held(passage: Passage) -> ColumnElement[bool]:
    """Return the condition that the passage is still the caller's."""
    return and_(
        Environment.id == passage.environment.id,
        Environment.status == passage.through,
        Environment.status_changed_at == passage.since,
    )


def _conflict(environment: Environment, allowed: Collection[EnvironmentStatus]) -> str:
    wanted = " or ".join(sorted(allowed))
    if environment.status in allowed:
        return "Somebody else is changing this environment; look at it again in a moment."
    return f"The environment is {environment.status}; this needs it to be {wanted}."
