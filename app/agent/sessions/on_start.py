"""Begins the sessions that come with a start: tmux and a VS Code server, where the image has them.

The leading agent's task. A start is answered before; what it finds of these costs nobody's time.
The run of the container that was served is recorded in the transaction that decides to serve it:
whoever dies after that leaves out a session, which anybody can start, and never begins it twice.
"""

import logging
from collections.abc import Callable

from sqlalchemy import or_, select, update

from app.core.errors import (
    ContainerNotFoundError,
    EngineConflictError,
    ExecutableMissingError,
    VibeBoxError,
)
from app.core.isolation import Loop
from app.core.items import Items
from app.core.trace_context import asked_by, task
from app.domain.sessions import programs
from app.domain.sessions.starting import Starting
from app.domain.sessions.vscode import Server
from app.engine import Engine
from app.storage import Database, Environment, EnvironmentStatus, SessionType
from app.storage.fence import Fence

AT_ONCE = 4
# For what is asked and recorded beside the start of a server.
_SPARE_SECONDS = 60.0
_log = logging.getLogger(__name__)


class SessionsOnStart:
    """Serves each run of each environment once; see `SessionReconciler` for `fence`."""

    def __init__(
        self,
        database: Database,
        engine: Engine,
        server: Server,
        fence: Fence,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; `on_lost` is called where `fence` says that another agent leads."""
        self._database = database
        self._engine = engine
        self._server = server
        self._fence = fence
        self._starting = Starting(database, engine, server, fence)
        seconds = server.seconds + _SPARE_SECONDS
        self._environments = Items(
            Loop.SESSIONS_ON_START, seconds=seconds, at_once=AT_ONCE, on_lost=on_lost
        )

    def run(self) -> None:
        """Begin to serve what is not served yet; returns at once. Raises: StorageError."""
        found = {environment.id: environment for environment in self._read()}
        self._environments.begin(found.keys(), lambda id: self._serve(found[id]))

    def close(self, seconds: float) -> list[str]:
        """Serve nothing any more; return the environments that are served all the same."""
        return self._environments.close(seconds)

    def _serve(self, environment: Environment) -> None:
        try:
            kinds = self._kinds(environment)
        except (ContainerNotFoundError, EngineConflictError):
            return  # it has ended; its record is mended first
        if self._take(environment):
            with task("sessions of a start", asked_by(environment.traceparent)):
                for kind in kinds:
                    self._start(environment, kind)

    def _read(self) -> list[Environment]:
        query = select(Environment).where(
            Environment.status == EnvironmentStatus.RUNNING,
            Environment.container_id.is_not(None),
            Environment.run_started.is_not(None),
            or_(
                Environment.sessions_run.is_(None),
                Environment.sessions_run != Environment.run_started,
            ),
        )
        with self._database.reading() as session:
            found = list(session.scalars(query))
            session.expunge_all()
        return found

    def _kinds(self, environment: Environment) -> list[SessionType]:
        """Return the sessions that the container has the programs for, the quickest first."""
        wanted = {"tmux": SessionType.TMUX}
        if any(port["container_port"] == self._server.port for port in environment.published_ports):
            wanted[self._server.program] = SessionType.VSCODE_SERVER
        try:
            held = programs.held(self._engine, environment.container_id or "", list(wanted))
        except ExecutableMissingError:  # no shell either
            held = set()
        return [kind for program, kind in wanted.items() if program in held]

    def _take(self, environment: Environment) -> bool:
        """Record that the run is served; tell whether it is the environment's run still."""
        with self._database.writing() as session:
            self._fence(session)
            taken = session.scalar(
                update(Environment)
                .where(
                    Environment.id == environment.id,
                    Environment.run_started == environment.run_started,
                )
                # What somebody reads as the time of the last change is not for this. A run that
                # begins without a request is no part of the trace of an older one.
                .values(
                    sessions_run=environment.run_started,
                    traceparent=None,
                    updated_at=Environment.updated_at,
                )
                .returning(Environment.id)
            )
        return taken is not None

    def _start(self, environment: Environment, kind: SessionType) -> None:
        try:
            self._starting.start(None, environment, kind)
        except VibeBoxError as error:
            _log.warning(
                "session not begun with the start",
                extra={"environment": environment.id, "type": kind, "why": error.detail},
            )
