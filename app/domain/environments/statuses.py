"""The statuses of environments, for whoever watches them: what a look needs, and no more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from app.core.errors import EnvironmentNotFoundError
from app.domain.authorization import Action, Identity, environment_for, readable_projects
from app.storage import Database, Environment, EnvironmentStatus, Project


@dataclass(frozen=True)
class Status:
    """What an environment does, since when, and what went wrong, if anything did."""

    id: str
    status: EnvironmentStatus
    error: str | None
    at: datetime


class StatusRecords:
    """Reads statuses."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, identity: Identity, environment_id: str) -> Status:
        """Return the status of one environment.

        Raises: EnvironmentNotFoundError, PermissionDeniedError.
        """
        with self._database.reading() as session:
            return _status(
                environment_for(session, identity, environment_id, Action.ENVIRONMENT_READ)
            )

    def look(self, environment_id: str) -> Status:
        """Return the same for all who watch it, whose right is asked for apart (`refusals`).

        Raises: EnvironmentNotFoundError.
        """
        with self._database.reading() as session:
            environment = session.get(Environment, environment_id)
            if environment is None:
                raise EnvironmentNotFoundError
            return _status(environment)

    def list(self, identity: Identity, *, limit: int) -> Sequence[Status]:
        """Return those of the environments that the caller sees, the newest ones, newest first."""
        seen = (
            select(
                Environment.id,
                Environment.status,
                Environment.error,
                Environment.status_changed_at,
            )
            .join(Project, Environment.project_id == Project.id)
            .where(readable_projects(identity))
            .order_by(Environment.created_at.desc(), Environment.id.desc())
            .limit(limit)
        )
        with self._database.reading() as session:
            rows = session.execute(seen).all()
        return [Status(*row) for row in rows]


def _status(environment: Environment) -> Status:
    return Status(
        environment.id, environment.status, environment.error, environment.status_changed_at
    )
