"""Sessions: what developers run in an environment for themselves, and come back to."""

import logging

from app.core.errors import SessionConflictError, SessionNotEndedError
from app.core.isolation import reason
from app.domain.authorization import Action, Identity, environment_for
from app.domain.heartbeat import Heartbeat
from app.domain.paging import Page
from app.domain.sessions import programs, vscode
from app.domain.sessions.audited import audit_opened, audit_session
from app.domain.sessions.marked import NotEndedError
from app.domain.sessions.records import ENDED, SessionRecords, ask_end_in
from app.domain.sessions.starting import Starting
from app.engine import Engine
from app.storage import Database, EnvironmentSession, SessionStatus, SessionType
from app.storage.fence import unfenced

_log = logging.getLogger(__name__)


class Sessions:
    """The rules of sessions; `app.domain.authorization` decides who sees and uses which."""

    def __init__(
        self,
        database: Database,
        engine: Engine,
        heartbeat: Heartbeat,
        server: vscode.Server,
    ) -> None:
        self._database = database
        self._engine = engine
        self._records = SessionRecords(database, heartbeat)
        self._starting = Starting(database, engine, server, unfenced)

    def create(
        self, identity: Identity, environment_id: str, kind: SessionType
    ) -> EnvironmentSession:
        """Start a session in a running environment.

        Raises: EnvironmentNotFoundError, PermissionDeniedError, EnvironmentConflictError where it
        does not run, ExecutableMissingError where the image has not the program,
        SessionStartError, SessionConflictError where there is a VS Code server already,
        LimitReachedError, and the errors of Docker.
        """
        with self._database.reading() as session:
            found = environment_for(session, identity, environment_id, Action.SESSION_USE)
            session.expunge_all()
        return self._starting.start(identity, found, kind)

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
        return self._records.list(identity, environment_id, status, limit=limit, offset=offset)

    def get(self, identity: Identity, session_id: str) -> EnvironmentSession:
        """Return one session. Raises: SessionNotFoundError, PermissionDeniedError."""
        return self._records.get(identity, session_id)

    def end(self, identity: Identity, session_id: str) -> None:
        """End a session and what runs in it; one that has ended is fine.

        Where that fails, the agent goes on ending it.

        Raises: SessionNotFoundError, PermissionDeniedError, SessionNotEndedError where something
        goes on, and the errors of Docker.
        """
        found = self._records.get(identity, session_id, Action.SESSION_USE)
        if found.status is SessionStatus.TERMINATED:
            return
        with self._database.writing() as session:
            ask_end_in(session, session_id)
            audit_session(session, identity, "session.end", found)
        pids = {terminal.pid for terminal in self._records.terminals(session_id) if terminal.pid}
        try:
            programs.end(self._engine, found, pids)
        except NotEndedError as error:
            extra = {"session": session_id, "why": reason(error)}
            _log.warning("session not ended; the agent will", extra=extra)
            raise SessionNotEndedError from error
        self._records.end(session_id)

    def password(self, identity: Identity, session_id: str) -> tuple[str, str]:
        """Return address and password of the session's VS Code server.

        Raises: SessionNotFoundError, PermissionDeniedError, SessionConflictError where it has none
        or none any more, and the errors of Docker.
        """
        found = self._records.get(identity, session_id, Action.SESSION_USE)
        if found.status is SessionStatus.TERMINATED:
            raise SessionConflictError(ENDED)
        if found.connection_url is None:
            raise SessionConflictError("The session is no VS Code server; use its terminal.")
        password = vscode.password(self._engine, found)
        with self._database.writing() as session:
            audit_opened(session, identity, found)
        return found.connection_url, password
