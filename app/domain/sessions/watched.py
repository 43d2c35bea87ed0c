"""Sessions that somebody is at: which of them go on, and that they are used."""

from collections.abc import Collection

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.domain.sessions.records import is_to_end
from app.domain.sessions.rows import living
from app.storage import Database, EnvironmentSession, SessionStatus, db_now


class WatchedSessions:
    """Looks at many sessions at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def look(self, ids: Collection[str], used: Collection[str]) -> set[str]:
        """Return which of the sessions go on, and note of those of them in `used` that they are.

        Both in one transaction, which only reads where none is used.
        """
        transaction = self._database.writing() if used else self._database.reading()
        with transaction as session:
            mine = EnvironmentSession.id.in_(ids) & living() & ~is_to_end()
            alive = set(session.scalars(select(EnvironmentSession.id).where(mine)))
            _note(session, alive.intersection(used))
        return alive


def _note(session: Session, used: set[str]) -> None:
    if used:
        session.execute(
            update(EnvironmentSession)
            # In the order of their ids: who changes several at once locks no other out for good.
            .where(EnvironmentSession.id.in_(sorted(used)), living())
            .values(last_active_at=db_now(), status=SessionStatus.ACTIVE)
        )
