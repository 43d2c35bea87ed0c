"""Makes the records of sessions true, and ends those that nobody uses: the leading agent's task.

What lives in the container counts, not the row: a process that is gone is a session that has ended,
and a session that was to end has ended once nothing of it is left. In use is what somebody has a
terminal of, what a program in it prints or what is typed there; everything else is idle.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from sqlalchemy import delete, select, update

from app.core.errors import ContainerNotFoundError, EngineConflictError, ExecutableMissingError
from app.core.isolation import Isolation, Loop
from app.core.items import Items
from app.core.trace_context import asked_by, task
from app.domain.environments.transitions import TRANSITIONAL
from app.domain.heartbeat import alive as living_processes
from app.domain.sessions import programs, vscode
from app.domain.sessions.records import ask_end_in, end_in
from app.domain.sessions.rows import UP, living
from app.engine import Engine
from app.storage import (
    Database,
    Environment,
    EnvironmentSession,
    EnvironmentStatus,
    SessionStatus,
    SessionType,
    Terminal,
    db_now,
)
from app.storage.cautious_clock import CautiousClock
from app.storage.fence import Fence

# Whoever starts a server or tmux awaits its answer; later than that, and this much, nobody does.
_SPARE_SECONDS = 30.0
# A shell is begun by whoever comes to its terminal; who was refused there, or has not come by now,
# does not come any more.
SHELL_WAITS = timedelta(seconds=120)
# A server tells the time of its use by the minute, and a terminal is looked at each ten seconds:
# less than this is no news.
_COARSE = timedelta(seconds=25)
# All the sessions of a container together; each question to it has a shorter deadline.
_CONTAINER_SECONDS = 120.0
_SESSION_SECONDS = 60.0
_AT_ONCE = 6
_log = logging.getLogger(__name__)


@dataclass
class _Container:
    """The sessions in a container that have not ended, and their terminals."""

    pairs: list[tuple[EnvironmentSession, Environment]] = field(default_factory=list)
    terminals: list[tuple[Terminal, bool]] = field(default_factory=list)
    """Each with whether the process that serves it lives."""


class SessionReconciler:
    """Compares sessions with what runs in their containers.

    `fence` is called in each transaction that changes something, and raises where this process may
    no longer do so; `on_lost` is called then. Raises: StorageError.
    """

    def __init__(
        self,
        database: Database,
        engine: Engine,
        clock: CautiousClock,
        idle_seconds: float,
        fence: Fence,
        server: vscode.Server | None = None,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._engine = engine
        self._clock = clock
        self._idle = timedelta(seconds=idle_seconds)
        self._coarse = min(_COARSE, self._idle / 8)
        self._fence = fence
        starting = (server or vscode.Server()).seconds + _SPARE_SECONDS
        self._starting = timedelta(seconds=starting)
        self._activity: dict[str, str] = {}
        self._sessions = Isolation(Loop.SESSIONS, _SESSION_SECONDS)
        self._containers = Items(
            Loop.SESSIONS, seconds=_CONTAINER_SECONDS, at_once=_AT_ONCE, on_lost=on_lost
        )

    def run(self) -> None:
        """Begin to look at every session that has not ended; returns at once."""
        containers = self._read()
        sessions = {found.id for one in containers.values() for found, _ in one.pairs}
        self._sessions.keep(sessions | containers.keys())
        self._activity = {id: was for id, was in self._activity.items() if id in sessions}
        self._containers.begin(
            containers.keys(), lambda container: self._look(container, containers[container])
        )

    def close(self, seconds: float) -> list[str]:
        """Look at nothing any more; return the containers that are looked at all the same."""
        return self._containers.close(seconds)

    def _read(self) -> Mapping[str, _Container]:
        """Return what there is to look at, by container."""
        sessions = (
            select(EnvironmentSession, Environment)
            .join(Environment, EnvironmentSession.environment_id == Environment.id)
            .where(living())
        )
        alive = Terminal.held_by.in_(living_processes())
        terminals = select(Terminal, alive, EnvironmentSession.container_id).join(
            EnvironmentSession, Terminal.session_id == EnvironmentSession.id
        )
        found: dict[str, _Container] = defaultdict(_Container)
        with self._database.reading() as session:
            for one, environment in session.execute(sessions):
                found[one.container_id].pairs.append((one, environment))
            for terminal, is_served, container in session.execute(terminals):
                found[container].terminals.append((terminal, bool(is_served)))
            session.expunge_all()
        return found

    def _look(self, container: str, what: _Container) -> None:
        going_on: list[EnvironmentSession] = []
        for found, environment in what.pairs:
            if environment.status in TRANSITIONAL:
                continue  # whoever changes it ends its sessions, or leaves them as they are
            run = (environment.container_id, environment.run_started)
            if environment.status not in UP or run != (found.container_id, found.run_started):
                self._sessions.attempt(found.id, partial(self._end, found))
            elif environment.status is EnvironmentStatus.RUNNING:
                going_on.append(found)
        is_frozen = bool(what.pairs) and not going_on
        if not is_frozen:
            # Of a container that is gone the commands are, too.
            self._sessions.attempt(container, partial(self._close_terminals, container, what))
        if going_on:
            self._compare(container, going_on, what.terminals)

    def _close_terminals(self, container: str, what: _Container) -> None:
        """End the commands of terminals that nobody serves any more."""
        left = [terminal for terminal, is_served in what.terminals if not is_served]
        if not left:
            return
        pids = {terminal.pid for terminal in left if terminal.pid}
        ids = [terminal.id for terminal in left]
        programs.end_terminals(self._engine, container, ids, pids)
        with self._database.writing() as session:
            self._fence(session)
            session.execute(delete(Terminal).where(Terminal.id.in_(sorted(ids))))
        _log.info("terminals closed", extra={"container": container, "terminals": len(ids)})

    def _compare(
        self,
        container: str,
        sessions: list[EnvironmentSession],
        terminals: Collection[tuple[Terminal, bool]],
    ) -> None:
        names: Mapping[str, str] | None = None
        if any(found.type is SessionType.TMUX for found in sessions):
            try:
                names = programs.tmux_activity(self._engine, container)
            except (ContainerNotFoundError, EngineConflictError):
                return  # the environment's own record is mended first
            except ExecutableMissingError:
                names = {}  # somebody removed tmux: its sessions are gone
        for found in sessions:
            if not self._sessions.pause(found.id):
                mine = [pair for pair in terminals if pair[0].session_id == found.id]
                self._sessions.attempt(found.id, partial(self._settle, found, names or {}, mine))

    def _settle(
        self,
        found: EnvironmentSession,
        names: Mapping[str, str],
        terminals: Collection[tuple[Terminal, bool]],
    ) -> None:
        """Make the record of one session true."""
        is_served = any(served for _, served in terminals)
        if found.end_requested_at is not None:
            with task("session end", asked_by(found.traceparent)):
                self._end_for_sure(found, terminals)
            return
        if found.status is SessionStatus.STARTING:
            self._settle_starting(found)
            return
        over, code = self._is_over(found, names, is_served)
        if over:
            self._end_for_sure(found, terminals, code)
        elif is_served or self._is_busy(found, names):
            self._note_use(found, timedelta(0))
        else:
            self._age(found, terminals)

    def _settle_starting(self, found: EnvironmentSession) -> None:
        """End a session that whoever started it does not await any more."""
        waits = SHELL_WAITS if found.type is SessionType.SHELL else self._starting
        if found.created_at <= self._clock.now() - waits:
            self._end_for_sure(found, ())

    def _is_over(
        self, found: EnvironmentSession, names: Mapping[str, str], is_served: bool
    ) -> tuple[bool, int | None]:
        """Tell whether the process of a session is gone, and its exit code."""
        if found.type is SessionType.TMUX:
            return found.name not in names, None
        if found.type is SessionType.VSCODE_SERVER:
            state = vscode.look(self._engine, found)
            if state.alive and state.silent is not None:
                self._note_use(found, timedelta(seconds=state.silent))
            return not state.alive, None
        if is_served:
            return False, None  # who serves it sees how it ends
        over, code = programs.shell_ended(self._engine, found)
        # Nobody could come back to a shell whose terminal is gone.
        return over or not self._is_held(found), code

    def _is_busy(self, found: EnvironmentSession, names: Mapping[str, str]) -> bool:
        """Tell whether something was typed or printed in tmux since the last look."""
        now = names.get(found.name)
        if now is None:
            return False
        before = self._activity.get(found.id)
        self._activity[found.id] = now
        return before is not None and now != before

    def _is_held(self, found: EnvironmentSession) -> bool:
        """Tell whether a process that lives serves the shell: 0.1.0 kept no rows of terminals."""
        query = select(EnvironmentSession.id).where(
            EnvironmentSession.id == found.id, EnvironmentSession.held_by.in_(living_processes())
        )
        with self._database.reading() as session:
            return session.scalar(query) is not None

    def _note_use(self, found: EnvironmentSession, ago: timedelta) -> None:
        """Note that the session was used so long ago, where that is news."""
        with self._database.writing() as session:
            self._fence(session)
            used = session.scalar(
                update(EnvironmentSession)
                .where(
                    EnvironmentSession.id == found.id,
                    living(),
                    EnvironmentSession.last_active_at < db_now(-ago - self._coarse),
                )
                .values(last_active_at=db_now(-ago), status=SessionStatus.ACTIVE)
                .returning(EnvironmentSession.last_active_at)
            )
        if used is not None:
            found.last_active_at, found.status = used, SessionStatus.ACTIVE

    def _age(self, found: EnvironmentSession, terminals: Collection[tuple[Terminal, bool]]) -> None:
        """Note that nobody uses the session, and end it when that lasts."""
        now = self._clock.now()
        if found.last_active_at < now - 2 * self._idle:
            self._end_for_sure(found, terminals)
        elif found.last_active_at < now - self._idle and found.status is SessionStatus.ACTIVE:
            with self._database.writing() as session:
                self._fence(session)
                session.execute(
                    update(EnvironmentSession)
                    .where(
                        EnvironmentSession.id == found.id,
                        EnvironmentSession.status == SessionStatus.ACTIVE,
                        EnvironmentSession.last_active_at == found.last_active_at,
                    )
                    .values(status=SessionStatus.IDLE)
                )

    def _end_for_sure(
        self,
        found: EnvironmentSession,
        terminals: Collection[tuple[Terminal, bool]],
        code: int | None = None,
    ) -> None:
        """End what runs in the session, look whether it has ended, and only then record that.

        Raises: NotEndedError, EngineError; it is to end from now on all the same.
        """
        if found.end_requested_at is None:
            with self._database.writing() as session:
                self._fence(session)
                ask_end_in(session, found.id)
        pids = {terminal.pid for terminal, _ in terminals if terminal.pid}
        programs.end(self._engine, found, pids)
        self._end(found, code)

    def _end(self, found: EnvironmentSession, code: int | None = None) -> None:
        with self._database.writing() as session:
            self._fence(session)
            end_in(session, found.id, code)
        _log.info("session ended", extra={"session": found.id, "exit_code": code})
