"""How a session comes into being, for whoever asks: a user, or the agent after a start."""

import logging

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.core.errors import (
    EngineError,
    EnvironmentConflictError,
    EnvironmentNotFoundError,
    Limit,
    SessionConflictError,
)
from app.core.isolation import reason
from app.domain.authorization import Action, Identity, environment_for
from app.domain.quotas.row_limits import refuse_more
from app.domain.sessions import programs, vscode
from app.domain.sessions.audited import audit_session
from app.domain.sessions.marked import NotEndedError
from app.domain.sessions.records import ENDED, ask_end_in, end_in
from app.domain.sessions.rows import living
from app.engine import Engine
from app.storage import (
    Database,
    Environment,
    EnvironmentSession,
    EnvironmentStatus,
    SessionStatus,
    SessionType,
    db_now,
    new_id,
    now,
)
from app.storage.fence import Fence

_SECOND_SERVER = "The environment has a VS Code server already; use that session, or end it first."
# Containers that are known to have a shell; to ask again after so many costs little.
_MOST_REMEMBERED = 1000
_log = logging.getLogger(__name__)


class Starting:
    """Starts sessions; `fence` is called in each transaction, and raises where it must not be."""

    def __init__(
        self,
        database: Database,
        engine: Engine,
        server: vscode.Server,
        fence: Fence,
    ) -> None:
        self._database = database
        self._engine = engine
        self._server = server
        self._fence = fence
        self._with_shell: set[str] = set()

    def start(
        self, identity: Identity | None, environment: Environment, kind: SessionType
    ) -> EnvironmentSession:
        """Start a session in an environment as it was read; `identity` None is VibeBox itself.

        Raises: as `Sessions.create`.
        """
        container = running(environment)
        with self._database.reading() as session:  # before anything runs for it
            _refuse_more(session, environment.id)
        self._require(container, kind)
        made = EnvironmentSession(
            id=new_id(),
            environment_id=environment.id,
            user_id=identity.user_id if identity else None,
            type=kind,
            status=SessionStatus.STARTING,
            container_id=container,
            run_started=environment.run_started,
        )
        made.name = programs.name_of(made.id)
        if kind is SessionType.VSCODE_SERVER:
            made.connection_url = self._server.url(environment.published_ports)
        # The row comes first: what was begun and is in no row nobody would end. A shell is begun
        # by whoever comes to its terminal.
        self._record(identity, made)
        if kind is not SessionType.SHELL:
            self._begin(made, environment.volume_path)
        return made

    def _require(self, container: str, kind: SessionType) -> None:
        """Do as `programs.require`; that a container has a shell is asked once, it takes long."""
        if kind is SessionType.SHELL and container in self._with_shell:
            return
        programs.require(self._engine, container, kind, self._program(kind))
        if kind is SessionType.SHELL:
            if len(self._with_shell) >= _MOST_REMEMBERED:
                self._with_shell.clear()
            self._with_shell.add(container)

    def _program(self, kind: SessionType) -> str:
        if kind is SessionType.VSCODE_SERVER:
            return self._server.program
        return "tmux" if kind is SessionType.TMUX else "sh"

    def _begin(self, made: EnvironmentSession, folder: str | None) -> None:
        try:
            if made.type is SessionType.VSCODE_SERVER:
                vscode.start(self._engine, self._server, made.container_id, made.id, folder)
            else:
                programs.start_tmux(self._engine, made, folder)
            self._activate(made)
        except BaseException:
            self._give_up(made)
            raise

    def _record(self, identity: Identity | None, made: EnvironmentSession) -> None:
        """Store the row, unless the container has changed since it was read."""
        with self._database.writing() as session:
            self._fence(session)
            found = _locked(session, identity, made.environment_id)
            running(found)
            if (found.container_id, found.run_started) != (made.container_id, made.run_started):
                raise EnvironmentConflictError(
                    "The environment was started anew meanwhile; try again."
                )
            if made.type is SessionType.VSCODE_SERVER:
                _refuse_second_server(session, made)
            made.created_at = made.last_active_at = now(session)
            _refuse_more(session, made.environment_id)
            session.add(made)
            session.flush()
            audit_session(session, identity, "session.create", made, type=made.type)
            session.flush()
            session.expunge(made)

    def _activate(self, made: EnvironmentSession) -> None:
        active = {"status": SessionStatus.ACTIVE, "last_active_at": db_now()}
        with self._database.writing() as session:
            self._fence(session)
            taken = session.scalar(
                update(EnvironmentSession)
                .where(EnvironmentSession.id == made.id, living())
                .values(active)
                .returning(EnvironmentSession.id)
            )
        if taken is None:  # ended while it started
            raise SessionConflictError(ENDED)
        made.status = SessionStatus.ACTIVE

    def _give_up(self, made: EnvironmentSession) -> None:
        """End what there is of it; where that fails too, the agent does."""
        try:
            programs.end(self._engine, made)
        except (EngineError, NotEndedError) as error:
            extra = {"session": made.id, "why": reason(error)}
            _log.warning("session not ended; the agent will", extra=extra)
            with self._database.writing() as session:
                ask_end_in(session, made.id)
            return
        with self._database.writing() as session:
            end_in(session, made.id)


def _refuse_more(session: Session, environment_id: str) -> None:
    ours = EnvironmentSession.environment_id == environment_id
    refuse_more(session, Limit.SESSIONS, EnvironmentSession, ours, living())


def running(environment: Environment) -> str:
    """Return the container of a running environment. Raises: EnvironmentConflictError."""
    if environment.status is not EnvironmentStatus.RUNNING or environment.container_id is None:
        raise EnvironmentConflictError(
            f"The environment is {environment.status}; sessions need it to be running."
        )
    return environment.container_id


def _locked(session: Session, identity: Identity | None, environment_id: str) -> Environment:
    if identity is not None:
        return environment_for(session, identity, environment_id, Action.SESSION_USE, lock=True)
    found = session.get(Environment, environment_id, with_for_update=True)
    if found is None:
        raise EnvironmentNotFoundError
    return found


def _refuse_second_server(session: Session, made: EnvironmentSession) -> None:
    """Raise SessionConflictError where the one port of the environment is taken."""
    other = select(EnvironmentSession.id).where(
        EnvironmentSession.environment_id == made.environment_id,
        EnvironmentSession.type == SessionType.VSCODE_SERVER,
        living(),
    )
    if session.scalar(other) is not None:
        raise SessionConflictError(_SECOND_SERVER)
