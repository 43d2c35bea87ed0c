"""Makes the records of sessions true, and ends those that nobody uses: the leading agent's task.

What lives in the container counts, not the row: a process that is gone is a session that has ended.
"""

import logging
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.cautious_clock import CautiousClock
from app.engine import Engine
from app.environments.session_rows import UP, ended, living
from app.environments.transitions import PASSAGES
from app.errors import ContainerNotFoundError, EngineConflictError, ExecutableMissingError
from app.isolation import Loop
from app.items import Items
from app.processes import living as living_processes
from app.sessions import programs, vscode
from app.storage import (
    Database,
    Environment,
    EnvironmentSession,
    EnvironmentStatus,
    SessionStatus,
    SessionType,
)

# Whoever starts a server awaits its answer; later than that, and this much, nobody does any more.
_SPARE_SECONDS = 30.0
# A server tells the time of its use by the minute; less than this is no news.
_COARSE = timedelta(seconds=5)
# All the sessions of a container together; each question to it has a shorter deadline.
_CONTAINER_SECONDS = 60.0
_AT_ONCE = 6
_Pair = tuple[EnvironmentSession, Environment]
_log = logging.getLogger(__name__)


class SessionTruth:
    """Compares sessions with what runs in their containers.

    `guard` is called in each transaction that changes something, and raises where this process may
    no longer do so; `on_lost` is called then. Raises: StorageError.
    """

    def __init__(
        self,
        database: Database,
        engine: Engine,
        clock: CautiousClock,
        idle_seconds: float,
        guard: Callable[[Session], None] = lambda session: None,
        server: vscode.Server | None = None,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._engine = engine
        self._clock = clock
        self._idle = timedelta(seconds=idle_seconds)
        self._guard = guard
        starting = (server or vscode.Server()).seconds + _SPARE_SECONDS
        self._starting = timedelta(seconds=starting)
        self._containers = Items(
            Loop.SESSIONS, seconds=_CONTAINER_SECONDS, at_once=_AT_ONCE, on_lost=on_lost
        )

    def run(self) -> None:
        """Begin to look at every session that has not ended; returns at once."""
        by_container: dict[str, list[_Pair]] = defaultdict(list)
        for found, environment in self._read():
            by_container[found.container_id].append((found, environment))
        self._containers.begin(
            by_container.keys(), lambda container: self._look(container, by_container[container])
        )

    def close(self, seconds: float) -> list[str]:
        """Look at nothing any more; return the containers that are looked at all the same."""
        return self._containers.close(seconds)

    def _look(self, container: str, pairs: list[_Pair]) -> None:
        going_on = []
        for found, environment in pairs:
            if environment.status in PASSAGES:
                continue  # whoever changes it ends its sessions, or leaves them as they are
            run = (environment.container_id, environment.run_started)
            if environment.status not in UP or run != (found.container_id, found.run_started):
                self._end(found)
            elif environment.status is EnvironmentStatus.RUNNING:
                going_on.append(found)
        if going_on:
            self._compare(container, going_on)

    def _read(self) -> list[_Pair]:
        query = (
            select(EnvironmentSession, Environment)
            .join(Environment, EnvironmentSession.environment_id == Environment.id)
            .where(living())
        )
        with self._database.reading() as session:
            rows = [(found, environment) for found, environment in session.execute(query)]
            session.expunge_all()
        return rows

    def _compare(self, container: str, sessions: list[EnvironmentSession]) -> None:
        names: set[str] = set()
        try:
            if any(found.type is SessionType.TMUX for found in sessions):
                names = programs.tmux_names(self._engine, container)
        except (ContainerNotFoundError, EngineConflictError):
            return  # the environment's own record is mended first
        except ExecutableMissingError:
            pass  # somebody removed tmux: its sessions are gone
        for found in sessions:
            over, code = self._is_over(found, names)
            if over:
                self._end(found, code)
            else:
                self._age(found)

    def _is_over(self, found: EnvironmentSession, tmux_names: set[str]) -> tuple[bool, int | None]:
        """Tell whether the process of a session is gone, and its exit code."""
        if found.type is SessionType.TMUX:
            return found.name not in tmux_names, None
        if found.type is SessionType.VSCODE_SERVER:
            return self._is_server_over(found), None
        if found.status is SessionStatus.STARTING:
            return False, None  # nobody has come to its terminal yet
        over, code = programs.shell_ended(self._engine, found)
        if over or self._is_held(found):
            return over, code
        programs.end(self._engine, found)  # its terminal died with a process of the service
        return True, None

    def _is_server_over(self, found: EnvironmentSession) -> bool:
        """Tell whether a VS Code server is gone, and note when somebody was last at it."""
        if found.status is SessionStatus.STARTING:
            if found.created_at > self._clock.now() - self._starting:
                return False
            programs.end(self._engine, found)  # whoever awaited its answer is dead
            return True
        sight = vscode.look(self._engine, found)
        if sight.alive and sight.silent is not None:
            self._note_use(found, self._clock.now() - timedelta(seconds=sight.silent))
        return not sight.alive

    def _note_use(self, found: EnvironmentSession, at: datetime) -> None:
        if at <= found.last_active_at + _COARSE:
            return
        with self._database.writing() as session:
            self._guard(session)
            session.execute(
                update(EnvironmentSession)
                .where(EnvironmentSession.id == found.id, living())
                .values(last_active_at=at, status=SessionStatus.ACTIVE)
            )
        found.last_active_at, found.status = at, SessionStatus.ACTIVE

    def _is_held(self, found: EnvironmentSession) -> bool:
        query = select(EnvironmentSession.id).where(
            EnvironmentSession.id == found.id, EnvironmentSession.held_by.in_(living_processes())
        )
        with self._database.reading() as session:
            return session.scalar(query) is not None

    def _age(self, found: EnvironmentSession) -> None:
        """Note that nobody uses the session, and end it when that lasts."""
        now = self._clock.now()
        if found.last_active_at < now - 2 * self._idle:
            programs.end(self._engine, found)
            self._end(found)
        elif found.last_active_at < now - self._idle and found.status is SessionStatus.ACTIVE:
            with self._database.writing() as session:
                self._guard(session)
                session.execute(
                    update(EnvironmentSession)
                    .where(
                        EnvironmentSession.id == found.id,
                        EnvironmentSession.status == SessionStatus.ACTIVE,
                        EnvironmentSession.last_active_at == found.last_active_at,
                    )
                    .values(status=SessionStatus.IDLE)
                )

    def _end(self, found: EnvironmentSession, code: int | None = None) -> None:
        with self._database.writing() as session:
            self._guard(session)
            session.execute(
                update(EnvironmentSession)
                .where(EnvironmentSession.id == found.id, living())
                .values(ended(code))
            )
        _log.info("session ended", extra={"session": found.id, "exit_code": code})
