"""The rows of sessions, and who may see them."""

from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.authorization import Action, Identity, environment_for
from app.environments.session_rows import ended, living
from app.errors import EnvironmentNotFoundError, SessionConflictError, SessionNotFoundError
from app.paging import Page
from app.processes import Presence
from app.storage import (
    Database,
    EnvironmentSession,
    SessionStatus,
    SessionType,
    db_now,
)

ENDED = "The session has ended; start another one."
_TAKEN = "This shell has its terminal already; start another one, or use tmux."
_NO_TERMINAL = "A VS Code server has no terminal of its own; open its connection_url."


class SessionRecords:
    """Reads and changes rows; every change is a compare-and-swap."""

    def __init__(self, database: Database, presence: Presence) -> None:
        self._database = database
        self._presence = presence

    def get(
        self, identity: Identity, session_id: str, action: Action = Action.ENVIRONMENT_READ
    ) -> EnvironmentSession:
        """Return a session. Raises: SessionNotFoundError, PermissionDeniedError."""
        with self._database.reading() as session:
            found = self.find(session, identity, session_id, action)
            session.expunge_all()
        return found

    def find(
        self, session: Session, identity: Identity, session_id: str, action: Action
    ) -> EnvironmentSession:
        """Do as `get` in the caller's transaction."""
        found = session.get(EnvironmentSession, session_id)
        if found is None:
            raise SessionNotFoundError
        try:
            environment_for(session, identity, found.environment_id, action)
        except EnvironmentNotFoundError as error:
            raise SessionNotFoundError from error
        return found

    def list(
        self,
        identity: Identity,
        environment_id: str,
        status: SessionStatus | None,
        *,
        limit: int,
        offset: int,
    ) -> Page[EnvironmentSession]:
        """Return a page, newest first. Raises: EnvironmentNotFoundError, PermissionDeniedError."""
        wanted = EnvironmentSession.environment_id == environment_id
        if status is not None:
            wanted &= EnvironmentSession.status == status
        newest = EnvironmentSession.created_at.desc(), EnvironmentSession.id.desc()
        with self._database.reading() as session:
            environment_for(session, identity, environment_id, Action.ENVIRONMENT_READ)
            total = session.scalar(
                select(func.count()).select_from(EnvironmentSession).where(wanted)
            )
            page = select(EnvironmentSession).where(wanted).order_by(*newest)
            items = list(session.scalars(page.limit(limit).offset(offset)))
            session.expunge_all()
        return Page(items, total or 0)

    def claim(self, found: EnvironmentSession) -> None:
        """Take a terminal of the session: of a shell there is one. Raises: SessionConflictError."""
        free = [EnvironmentSession.id == found.id, living()]
        changes: dict[str, Any] = {"last_active_at": db_now(), "status": SessionStatus.ACTIVE}
        with self._database.writing() as session:
            if found.type is SessionType.SHELL:
                free.append(EnvironmentSession.status == SessionStatus.STARTING)
                changes["held_by"] = self._presence.ensure(session)
            taken = session.scalar(
                update(EnvironmentSession)
                .where(*free)
                .values(changes)
                .returning(EnvironmentSession.id)
            )
        if taken is None:
            self.refuse(self._again(found))
            raise SessionConflictError(ENDED)

    @staticmethod
    def refuse(found: EnvironmentSession) -> None:
        """Refuse a terminal that cannot be had. Raises: SessionConflictError."""
        if found.status is SessionStatus.TERMINATED:
            raise SessionConflictError(ENDED)
        if found.type is SessionType.VSCODE_SERVER:
            raise SessionConflictError(_NO_TERMINAL)
        if found.type is SessionType.SHELL and found.status is not SessionStatus.STARTING:
            raise SessionConflictError(_TAKEN)

    def note_exec(self, found: EnvironmentSession, exec_id: str) -> None:
        """Keep which process of the container the session is."""
        found.exec_id = exec_id
        with self._database.writing() as session:
            session.execute(
                update(EnvironmentSession)
                .where(EnvironmentSession.id == found.id)
                .values(exec_id=exec_id)
            )

    def release(self, session_id: str) -> None:
        """Serve the terminal of a shell no longer, though it may live: the agent ends it."""
        with self._database.writing() as session:
            session.execute(
                update(EnvironmentSession)
                .where(EnvironmentSession.id == session_id, living())
                .values(held_by=None)
            )

    def end(self, session_id: str, exit_code: int | None = None) -> None:
        """Record that a session has ended; one that had already stays as it is."""
        with self._database.writing() as session:
            session.execute(
                update(EnvironmentSession)
                .where(EnvironmentSession.id == session_id, living())
                .values(ended(exit_code))
            )

    def _again(self, found: EnvironmentSession) -> EnvironmentSession:
        with self._database.reading() as session:
            again = session.get(EnvironmentSession, found.id)
            session.expunge_all()
        if again is None:
            raise SessionNotFoundError
        return again
