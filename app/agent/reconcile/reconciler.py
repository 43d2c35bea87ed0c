"""Makes records true: compares one with its container, and mends it by compare-and-swap.

A live transition is left alone: who holds it will end it. One that nobody will end is healed to
what Docker says. Nothing here changes a container.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from enum import Enum, auto
from typing import NamedTuple

from sqlalchemy import select, update

from app.agent.reconcile.diff import Patch, diff, ended_runs
from app.agent.reconcile.event_history import ContainerEventHistory
from app.core.errors import ContainerNotFoundError
from app.domain.environments.containers import container_name
from app.domain.environments.exits import Exit, as_kept, record_exits, run_of
from app.domain.environments.transitions import TRANSITIONAL, abandoned
from app.engine import ContainerState, Engine
from app.storage import Database, Environment, db_now
from app.storage.fence import Fence

_log = logging.getLogger(__name__)
_REMOVING = "removing"


class Verdict(Enum):
    """What a comparison found."""

    TRUE = auto()  # the record is true, by now at least
    PASSING = auto()  # somebody is changing the environment: look again later
    CHANGED = auto()  # somebody was quicker: look again now
    UNKNOWN = auto()  # there is no such record


class _Record(NamedTuple):
    environment: Environment
    is_abandoned: bool
    read_at: datetime  # by the database's clock


class Reconciler:
    """Reconciles environments with Docker.

    `fence` is called in each transaction that changes something, and raises where this process may
    no longer do so (see `app.agent.leader.election`). `on_drift` hears of each comparison: the
    environment's id, and whether its recorded status differs from Docker's at that moment.
    """

    def __init__(
        self,
        database: Database,
        engine: Engine,
        event_history: ContainerEventHistory,
        *,
        instance: Callable[[], str],
        fence: Fence,
        on_drift: Callable[[str, bool], None] = lambda environment_id, differs: None,
    ) -> None:
        self._database = database
        self._engine = engine
        self._event_history = event_history
        self._instance = instance
        self._fence = fence
        self._on_drift = on_drift

    def reconcile(self, environment_id: str) -> Verdict:
        """Compare the record with Docker and patch it.

        Raises: EngineError, StorageError (nothing was changed, look again later), and what
        `fence` raises.
        """
        record = self._read(environment_id)
        if record is None:
            self._on_drift(environment_id, False)
            return Verdict.UNKNOWN
        if record.environment.status in TRANSITIONAL and not record.is_abandoned:
            self._on_drift(environment_id, False)
            return Verdict.PASSING
        state = self._look(record.environment)
        if state is not None and (state.status == _REMOVING or self._ended_just_now(state)):
            return Verdict.PASSING
        ended = self._as_kept(ended_runs(record.environment, state, self._event_history))
        patch = diff(record.environment, state, ended, record.read_at)
        self._on_drift(environment_id, patch.differs(record.environment))
        if not patch.is_needed(record.environment) and all(run.is_written for run in ended):
            return Verdict.TRUE
        if not self._write(record.environment, patch):
            return Verdict.CHANGED
        self._on_drift(environment_id, False)
        return Verdict.TRUE

    def _read(self, environment_id: str) -> _Record | None:
        query = select(Environment, abandoned(), db_now()).where(Environment.id == environment_id)
        with self._database.reading() as session:
            found = session.execute(query).one_or_none()
            if found is None:
                return None
            session.expunge(found[0])
        return _Record(found[0], bool(found[1]), found[2])

    def _look(self, environment: Environment) -> ContainerState | None:
        """Return the environment's container, also one whose id was never recorded."""
        for name in (environment.container_id, container_name(environment)):
            if name is None:
                continue
            try:
                state = self._engine.inspect(name)
            except ContainerNotFoundError:
                continue
            if self._is_ours(state, environment):
                return state
        return None

    def _is_ours(self, state: ContainerState, environment: Environment) -> bool:
        """Tell whether it is this record's; before release 0.2 containers had no instance."""
        mine = state.instance in (None, "", self._instance())
        return mine and state.environment_id == environment.id

    def _ended_just_now(self, state: ContainerState) -> bool:
        """Tell whether Docker may still tell why the container has ended."""
        run = run_of(state)
        return run is not None and not state.running and self._event_history.lookup(run).fresh

    def _as_kept(self, ended: list[Exit]) -> list[Exit]:
        """Return the ends of runs as they were written first, whatever they look like now."""
        if not ended:
            return []
        with self._database.reading() as session:
            return [as_kept(session, run) for run in ended]

    def _write(self, environment: Environment, patch: Patch) -> bool:
        """Write the changes if the record is still the one that was compared."""
        changes = dict(patch.changes)
        if patch.differs(environment):
            changes |= {"status": patch.status, "status_changed_at": db_now(), "held_by": None}
        unchanged = (
            Environment.id == environment.id,
            Environment.status == environment.status,
            Environment.status_changed_at == environment.status_changed_at,
            Environment.container_id.is_not_distinct_from(environment.container_id),
            Environment.run_started.is_not_distinct_from(environment.run_started),
        )
        with self._database.writing() as session:
            self._fence(session)
            mended = update(Environment).where(*unchanged).values(**changes)
            if session.scalar(mended.returning(Environment.id)) is None:
                return False
            record_exits(session, environment, patch.exits)
        _log.info(
            "record mended",
            extra={
                "environment": environment.id,
                "before": environment.status,
                "after": patch.status,
                "exits": [ended.reason for ended in patch.exits],
            },
        )
        return True
