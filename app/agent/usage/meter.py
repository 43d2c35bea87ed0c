"""The task that reads what all containers use and has it booked.

Nothing is kept here that the database does not have, but last readings that are to be booked: an
agent that is killed costs no more than the readings it would have taken. What a container uses
after its last reading, up to its end, is not known. So its end is waited for where the kernel shows
it (see `ends`), and elsewhere one that is about to end is read at once (see `read_soon`).
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from sqlalchemy import select

from app.agent.usage.asking import PER_SECOND, Asking
from app.agent.usage.ends import Ends
from app.agent.usage.sources import Sources
from app.core.errors import (
    ContainerNotFoundError,
    EngineConflictError,
    LeadershipLostError,
    StorageError,
)
from app.core.isolation import Isolation, Loop
from app.core.items import Items
from app.domain.usage.ledger import Ledger, Reading, Run
from app.engine import Engine
from app.storage import AT_REST, Database, Environment

# Readings that are booked in one transaction: more holds the lease's row for longer.
_BATCH = 250
# What one container may take of a round, where the engine is asked.
_SECONDS = 5.0
_log = logging.getLogger(__name__)


class Meter:
    """Reads in a term; one thread calls `run`, any thread `read_soon`."""

    def __init__(
        self,
        database: Database,
        engine: Engine,
        ledger: Ledger,
        interval: float,
        over: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read each container every `interval` seconds, until `over` says so.

        Where the engine has to be asked for many, later: see `app.agent.usage.asking`.
        """
        self._database = database
        self._ledger = ledger
        self._interval = interval
        self._over = over
        self._clock = clock
        self._due = self._asking_due = clock()
        self._lock = threading.Lock()
        self._soon: dict[str, str] = {}
        self._near = Items(Loop.USAGE, seconds=_SECONDS)
        self._asking = Asking(Isolation(Loop.USAGE, _SECONDS))
        self._apart = Items(Loop.USAGE, seconds=_SECONDS)
        self.wanted = threading.Event()
        """Set: some containers are to be read at once, or a last reading to be booked."""
        self._ends = Ends(self.wanted.set)
        self._sources = Sources(engine, self._ends, clock)

    def read_soon(self, environment_id: str, container_id: str) -> None:
        """Have a container read at once, since it began or may end; returns at once, never fails.

        One that has just begun is known from then on, and can be read as soon as it is to end.
        """
        with self._lock:
            self._soon[container_id] = environment_id
        self.wanted.set()

    def run(self) -> None:
        """Read and book those whose turn it is. Raises: StorageError, EngineError, and others."""
        self._book_ends()
        with self._lock:
            soon, self._soon = self._soon, {}
        whole = self._clock() >= self._due
        wanted = soon
        if whole:
            self._due = self._clock() + 0.9 * self._interval
            up = soon | self._up()
            self._sources.keep(up.keys())
            wanted = soon | {it: up[it] for it in self._with_turn(up)}
        try:
            self._read(wanted)
        finally:
            # Whatever becomes of Docker, the ends that are known are booked.
            if whole:
                self._close_ended()

    def close(self, seconds: float) -> list[str]:
        """Wait for no end any more; see `Task.close`."""
        return self._ends.close(seconds)

    def _with_turn(self, up: Collection[str]) -> Collection[str]:
        """Return those that are to be read in this round: the engine is not asked in each."""
        far = {container for container in up if self._sources.is_far(container)}
        if self._clock() < self._asking_due:
            return set(up) - far
        # As the interval of the others: what is due shortly is due.
        self._asking_due = self._clock() + 0.9 * len(far) / PER_SECOND
        return up

    def _up(self) -> dict[str, str]:
        """Return the environments of the containers that are up, by container."""
        query = select(Environment.container_id, Environment.id).where(
            Environment.status.not_in(AT_REST), Environment.container_id.is_not(None)
        )
        with self._database.reading() as session:
            return {str(container): id for container, id in session.execute(query)}

    def _read(self, wanted: dict[str, str]) -> None:
        """Read these and book what was read, also where some, or Docker, cannot be read."""
        readings: list[Reading] = []

        def read(container_id: str) -> None:
            try:
                reading = self._sources.read(wanted[container_id], container_id)
            except (ContainerNotFoundError, EngineConflictError):
                return  # it ended just now
            if reading is not None:
                readings.append(reading)

        try:
            self._near.go_through(self._near_of(wanted), read, self._over)
            # Those too whose run is over by their files: asked for one by one among them, an engine
            # that hangs would hold up all others.
            self._asking.go_through(wanted.keys() - self._near_of(wanted), read, self._over)
        finally:
            while readings:
                self._book(readings[-_BATCH:])
                del readings[-_BATCH:]

    def _near_of(self, wanted: Collection[str]) -> set[str]:
        return {id for id in wanted if self._sources.is_near(id)}

    def _book_ends(self) -> None:
        while readings := self._ends.readings()[:_BATCH]:
            self._book(readings)
            self._ends.forget(len(readings))

    def _book(self, readings: Sequence[Reading]) -> None:
        batch = {_name(reading.run): reading for reading in readings}
        self._together_or_apart(
            batch, lambda some: self._ledger.store([batch[name] for name in some])
        )

    def _close_ended(self) -> None:
        while not self._over():
            runs = {_name(run): run for run in self._ledger.ended()}
            if not runs:
                return
            self._book_ends()  # which were read before their ends were recorded
            if not self._together_or_apart(runs, partial(self._close, runs)):
                return  # those that fail would come again at once

    def _close(self, runs: Mapping[str, Run], some: Sequence[str]) -> None:
        self._ledger.close([runs[name] for name in some])

    def _together_or_apart(
        self, items: Collection[str], work: Callable[[Sequence[str]], None]
    ) -> bool:
        """Do the work for all in one transaction; where that fails for a reason of one, each apart.

        Returns whether it was done together.
        """
        if not items:
            return True
        try:
            work(list(items))
        except (StorageError, LeadershipLostError):
            raise
        except Exception as error:
            _log.warning("usage booked apart", extra={"why": type(error).__name__})
            self._apart.go_through(items, lambda item: work([item]), self._over)
            return False
        return True


def _name(run: Run) -> str:
    return f"{run.container_id} {run.started}"
