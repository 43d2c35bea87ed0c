"""The logs of environments as they grow, for whoever goes on from a line that is known."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Select, func, select

from app.domain.authorization import Action, Identity, environment_for
from app.storage import Database, LogEntry


class FollowedLogs:
    """Reads lines in the order in which they were taken in.

    `app.domain.authorization` decides whose. `last_id` and `look` are for all who watch a log at
    once: their right is asked for apart (`refusals`).
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def last(self, identity: Identity, environment_id: str, *, limit: int) -> Sequence[LogEntry]:
        """Return the last lines. Raises: EnvironmentNotFoundError, PermissionDeniedError."""
        newest = select(LogEntry).where(_of(environment_id)).order_by(LogEntry.id.desc())
        return self._read(identity, environment_id, newest.limit(limit))[::-1]

    def behind(
        self, identity: Identity, environment_id: str, after: int, *, limit: int
    ) -> Sequence[LogEntry]:
        """Return the next lines behind the id `after`, whether or not there is such a line.

        Raises: EnvironmentNotFoundError, PermissionDeniedError.
        """
        return self._read(identity, environment_id, _behind(environment_id, after, limit))

    def last_id(self, environment_id: str) -> int:
        """Return the id of the last line; 0 where there is none."""
        query = select(func.max(LogEntry.id)).where(_of(environment_id))
        with self._database.reading() as session:
            return session.scalar(query) or 0

    def look(self, environment_id: str, after: int, *, limit: int) -> Sequence[LogEntry]:
        """Return the same as `behind`, for all who watch."""
        with self._database.reading() as session:
            found = session.scalars(_behind(environment_id, after, limit)).all()
            session.expunge_all()
        return found

    def _read(
        self, identity: Identity, environment_id: str, query: Select[LogEntry]
    ) -> Sequence[LogEntry]:
        with self._database.reading() as session:
            environment_for(session, identity, environment_id, Action.ENVIRONMENT_READ)
            found = session.scalars(query).all()
            session.expunge_all()
        return found


def _of(environment_id: str) -> ColumnElement[bool]:
    return LogEntry.environment_id == environment_id


def _behind(environment_id: str, after: int, limit: int) -> Select[LogEntry]:
    behind = _of(environment_id) & (LogEntry.id > after)
    return select(LogEntry).where(behind).order_by(LogEntry.id).limit(limit)
