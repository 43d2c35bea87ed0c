"""Compares all records with Docker's list of containers; removes what nobody has a record of.

The sweep finds what no event told of. It decides by the list what has to be looked at, and has it
looked at by the same threads as the events (see `app.agent.reconcile.workers`).
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import select

from app.agent.leader.election import Term
from app.agent.reconcile.drift import Drift
from app.agent.reconcile.queue import WorkQueue
from app.agent.reports import Reports
from app.core.errors import EngineConflictError
from app.core.isolation import Loop
from app.core.items import Items
from app.domain.environments.containers import name_for
from app.domain.environments.transitions import TRANSITIONAL, abandoned
from app.engine import ContainerSummary, Engine, VolumeSummary
from app.storage import AT_REST, Database, Environment, EnvironmentStatus

_UP = {
    "running": EnvironmentStatus.RUNNING,
    "restarting": EnvironmentStatus.RUNNING,
    "paused": EnvironmentStatus.PAUSED,
}
# The list shows no difference between two ends of a container: what is at rest is looked at again
# every so many sweeps, in case a database came back with an older state.
_CLOSELY_EVERY = 10
# One record costs no wait. The removal of a container may take Docker its two minutes.
_ROW_SECONDS = 5.0
_REMOVAL_SECONDS = 150.0
_REMOVALS = 4
_log = logging.getLogger(__name__)


class _Row(NamedTuple):
    id: str
    status: EnvironmentStatus
    container_id: str | None
    is_abandoned: bool


@dataclass
class _Orphans:
    """What is labelled with an environment that has no record."""

    containers: list[ContainerSummary] = field(default_factory=list)
    volumes: list[VolumeSummary] = field(default_factory=list)


class Sweep:
    """One look at everything.

    `follow` hears of each container of ours that is up, and after a gap of all.
    """

    def __init__(
        self,
        database: Database,
        engine: Engine,
        queue: WorkQueue,
        drift: Drift,
        reports: Reports,
        term: Term,
        *,
        instance: Callable[[], str],
        follow: Callable[[str, str], None],
    ) -> None:
        self._database = database
        self._engine = engine
        self._queue = queue
        self._drift = drift
        self._reports = reports
        self._term = term
        self._instance = instance
        self._follow = follow
        self._records = Items(Loop.SWEEP, seconds=_ROW_SECONDS)
        self._removals = Items(
            Loop.SWEEP, seconds=_REMOVAL_SECONDS, at_once=_REMOVALS, on_lost=term.end
        )
        self._gap = threading.Event()
        self._gap.set()
        self._sweeps = 0
        self.wanted = threading.Event()
        """Set: the next sweep is due at once."""

    def after_gap(self) -> None:
        """Have everything looked at closely at once: events may have been missed."""
        self._gap.set()
        self.wanted.set()

    def run(self) -> None:
        """Sweep once. Raises: EngineError, StorageError, LeadershipLostError."""
        self._sweeps += 1
        closely = self._gap.is_set() or self._sweeps % _CLOSELY_EVERY == 0
        self._gap.clear()
        try:
            self._sweep(closely)
        except BaseException:
            if closely:
                self._gap.set()
            raise

    def heal_abandoned(self) -> None:
        """Have the transitions that nobody will end looked at. Raises: StorageError."""
        with self._database.reading() as session:
            found = list(session.scalars(select(Environment.id).where(abandoned())))
        for environment_id in found:
            self._queue.add(environment_id)

    def close(self, seconds: float) -> list[str]:
        """Remove nothing any more; return what is being removed all the same."""
        return self._removals.close(seconds)

    def _sweep(self, closely: bool) -> None:
        # In this order: what is made after the list is not missed in it, and whose record is
        # deleted before the rows are read has lost its container before that.
        containers = self._engine.list_containers()
        rows = self._rows()
        mine = [container for container in containers if self._is_ours(container)]
        by_environment = defaultdict(list)
        for container in mine:
            by_environment[container.environment_id].append(container)

        def compare(environment_id: str) -> None:
            row = rows[environment_id]
            self._compare(row, _container_of(row, by_environment[row.id]), closely)

        self._records.go_through(rows, compare, self._term.over.is_set)
        self._drift.report_sweep(self._reports, len(rows))
        self._remove_orphans(mine, rows)

    def _rows(self) -> dict[str, _Row]:
        query = select(Environment.id, Environment.status, Environment.container_id, abandoned())
        with self._database.reading() as session:
            return {row[0]: _Row(*row) for row in session.execute(query)}

    def _is_ours(self, container: ContainerSummary) -> bool:
        return container.instance in (None, "", self._instance())

    def _compare(self, row: _Row, container: ContainerSummary | None, closely: bool) -> None:
        up = _UP.get(container.status) if container else None
        # Of one that has ended, the last lines may not be taken in yet.
        if container is not None and (up is not None or closely):
            self._follow(row.id, container.id)
        if row.status in TRANSITIONAL:
            if row.is_abandoned:
                self._queue.add(row.id)
            return
        differs = up is not row.status if up or row.status not in AT_REST else False
        if differs:
            self._drift.note(row.id, True)
        known = row.container_id == (container.id if container else None)
        # The list does not say in which run a container is: who runs is always looked at.
        if differs or not known or up is not None or (closely and container is not None):
            self._queue.add(row.id)

    def _remove_orphans(self, mine: Iterable[ContainerSummary], rows: dict[str, _Row]) -> None:
        """Begin to remove what has no record; the next sweep finds what is left of it."""
        found: dict[str, _Orphans] = defaultdict(_Orphans)
        for container in mine:
            if self._is_orphan(container, rows):
                found[container.environment_id or ""].containers.append(container)
        for volume in self._engine.list_volumes():
            if self._is_orphan(volume, rows):
                found[volume.environment_id or ""].volumes.append(volume)
        self._removals.begin(found.keys(), lambda owner: self._remove(owner, found[owner]))

    def _is_orphan(self, labelled: ContainerSummary | VolumeSummary, rows: dict[str, _Row]) -> bool:
        return labelled.instance == self._instance() and labelled.environment_id not in rows

    def _remove(self, environment_id: str, orphans: _Orphans) -> None:
        if self._has_record(environment_id):  # made since the rows were read
            return
        extra = {"environment": environment_id}
        for container in orphans.containers:
            self._engine.remove(container.id)
            _log.warning("orphan removed", extra={"container": container.id, **extra})
        for volume in orphans.volumes:
            try:
                self._engine.volume_remove(volume.name)
            except EngineConflictError:
                continue  # in use by a container that is no orphan yet
            _log.warning("orphaned volume removed", extra={"volume": volume.name, **extra})

    def _has_record(self, environment_id: str) -> bool:
        """Ask right before something is destroyed, which only the leader may."""
        with self._database.writing() as session:
            self._term.fence(session)
            query = select(Environment.id).where(Environment.id == environment_id)
            return session.scalar(query) is not None


def _container_of(row: _Row, found: list[ContainerSummary]) -> ContainerSummary | None:
    """Return the container that the record means: the one it names, else the one of its name."""
    for container in found:
        if container.id == row.container_id:
            return container
    name = name_for(row.id)
    return next((container for container in found if container.name == name), None)
