"""Sessions: what developers run in an environment for themselves, and come back to."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import audit
from app.authorization import Action, Identity, environment_for
from app.engine import Engine
from app.errors import EnvironmentConflictError
from app.processes import Presence
from app.sessions import programs
from app.sessions.looks import SessionLooks
from app.sessions.records import SessionPage, SessionRecords
from app.sessions.terminal import TerminalTalk
from app.storage import (
    Database,
    Environment,
    EnvironmentSession,
    EnvironmentStatus,
    Project,
    SessionStatus,
    SessionType,
    new_id,
    utc_now,
)
from app.websockets.channel import Channel
from app.websockets.lookout import Lookout

# Containers that are known to have a shell; to ask again after so many costs little.
_MOST_REMEMBERED = 1000


class Sessions:
    """The rules of sessions; `app.authorization` decides who sees and uses which."""

    def __init__(
        self, database: Database, engine: Engine, presence: Presence, lookout: Lookout
    ) -> None:
        self._database = database
        self._engine = engine
        self._records = SessionRecords(database, presence)
        self._watching = lookout, SessionLooks(database)
        self._with_shell: set[str] = set()

    def create(
        self, identity: Identity, environment_id: str, kind: SessionType
    ) -> EnvironmentSession:
        """Start a session in a running environment.

        Raises: EnvironmentNotFoundError, PermissionDeniedError, EnvironmentConflictError where it
        does not run, ExecutableMissingError where the image has not the program,
        SessionStartError, and the errors of Docker.
        """
        with self._database.reading() as session:
            before = environment_for(session, identity, environment_id, Action.SESSION_USE)
            session.expunge_all()
        container = _running(before)
        made = EnvironmentSession(
            id=new_id(),
            environment_id=environment_id,
            user_id=identity.user_id,
            type=kind,
            container_id=container,
            run_started=before.run_started,
            created_at=utc_now(),
            last_active_at=utc_now(),
        )
        made.name = programs.name_of(made.id)
        started = self._start(container, kind, made.name)
        made.status = SessionStatus.ACTIVE if started else SessionStatus.STARTING
        try:
            self._record(identity, made)
        except Exception:
            programs.end(self._engine, made)
            raise
        return made

    def list(
        self,
        identity: Identity,
        environment_id: str,
        status: SessionStatus | None,
        *,
        limit: int,
        offset: int,
    ) -> SessionPage:
        """Return a page, newest first. Raises: EnvironmentNotFoundError, PermissionDeniedError."""
        return self._records.list(identity, environment_id, status, limit=limit, offset=offset)

    def get(self, identity: Identity, session_id: str) -> EnvironmentSession:
        """Return one session. Raises: SessionNotFoundError, PermissionDeniedError."""
        return self._records.get(identity, session_id)

    def end(self, identity: Identity, session_id: str) -> None:
        """End a session and what runs in it; one that has ended is fine.

        Raises: SessionNotFoundError, PermissionDeniedError, and the errors of Docker.
        """
        found = self._records.get(identity, session_id, Action.SESSION_USE)
        if found.status is SessionStatus.TERMINATED:
            return
        programs.end(self._engine, found)
        self._records.end(session_id)
        with self._database.writing() as session:
            _audit(session, identity, "session.end", found)

    def attach(
        self, identity: Identity, session_id: str, size: tuple[int, int]
    ) -> Callable[[Channel], None]:
        """Return what serves a terminal of the session, of (columns, rows).

        Raises: SessionNotFoundError, PermissionDeniedError, SessionConflictError.
        """
        found = self._records.get(identity, session_id, Action.SESSION_USE)
        self._records.refuse(found)
        return TerminalTalk(self._records, self._engine, self._watching, identity, found, size)

    def _start(self, container: str, kind: SessionType, name: str) -> bool:
        """Do as `programs.start`; that a container has a shell is asked once, which takes long."""
        if kind is SessionType.SHELL and container in self._with_shell:
            return False
        started = programs.start(self._engine, container, kind, name)
        if kind is SessionType.SHELL:
            if len(self._with_shell) >= _MOST_REMEMBERED:
                self._with_shell.clear()
            self._with_shell.add(container)
        return started

    def _record(self, identity: Identity, made: EnvironmentSession) -> None:
        """Store the row, unless the container has changed since its program was started."""
        with self._database.writing() as session:
            now = environment_for(
                session, identity, made.environment_id, Action.SESSION_USE, lock=True
            )
            _running(now)
            if (now.container_id, now.run_started) != (made.container_id, made.run_started):
                raise EnvironmentConflictError(
                    "The environment was started anew meanwhile; try again."
                )
            session.add(made)
            session.flush()
            _audit(session, identity, "session.create", made, type=made.type)
            session.flush()
            session.expunge(made)


def _running(environment: Environment) -> str:
    """Return the container of a running environment. Raises: EnvironmentConflictError."""
    if environment.status is not EnvironmentStatus.RUNNING or environment.container_id is None:
        raise EnvironmentConflictError(
            f"The environment is {environment.status}; sessions need it to be running."
        )
    return environment.container_id


def _audit(
    session: Session, identity: Identity, action: str, found: EnvironmentSession, **details: Any
) -> None:
    project_id, team_id = session.execute(
        select(Project.id, Project.owner_team_id)
        .join(Environment, Environment.project_id == Project.id)
        .where(Environment.id == found.environment_id)
    ).one_or_none() or (None, None)
    target = audit.Target("session", found.id, found.name, project_id, team_id)
    audit.record(session, identity, action, target, **details)
