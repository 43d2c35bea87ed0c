"""Where the use of a run is read: the kernel's files where they are to be had, else the engine.

Which run a reading is of has to be certain, since each begins at zero. The kernel's files are of
one process, whose run is known. The engine's statistics do not say: so the run is asked for before
and after, and where it has changed, nothing is read.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from app.agent.usage.ends import Ends
from app.domain.usage.booking import Totals
from app.domain.usage.ledger import Reading, Run
from app.engine import Engine, GroupFiles, RunCounters, group_files
from app.engine.cgroups import RunOverError

_NOT_TOLD = -1


@dataclass(frozen=True)
class _Known:
    """A run that goes on, and its files where there are any."""

    run: Run
    files: GroupFiles | None


class Sources:
    """Reads runs, each container in one thread at a time."""

    def __init__(
        self, engine: Engine, ends: Ends, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`ends` are told of each run whose end can be seen; `clock` is one that nobody sets."""
        self._engine = engine
        self._ends = ends
        self._clock = clock
        self._known: dict[str, _Known] = {}

    def keep(self, containers: Collection[str]) -> None:
        """Forget all containers but these."""
        self._known = {id: known for id, known in self._known.items() if id in containers}

    def is_near(self, container_id: str) -> bool:
        """Tell whether the container is known to be read without asking the engine."""
        known = self._known.get(container_id)
        return known is not None and known.files is not None

    def is_far(self, container_id: str) -> bool:
        """Tell whether it is known that the engine has to be asked."""
        known = self._known.get(container_id)
        return known is not None and known.files is None

    def read(self, environment_id: str, container_id: str) -> Reading | None:
        """Return what the container's present run has used; None where it began or ended just now.

        Where the run that was known is over, the next one is read at once: it may end before its
        turn comes again. Where files said so the caller does that, who knows whom to ask when: the
        container is not near any more.
        Raises: EngineError, ContainerNotFoundError among them.
        """
        while True:
            was_known = self._known.get(container_id)
            known = was_known or self._look(environment_id, container_id)
            if known is None:
                return None
            if (counters := self._counters(known)) is not None:
                return self._reading(known.run, environment_id, counters)
            self._known.pop(container_id, None)
            if was_known is None or was_known.files is not None:
                return None

    def _look(self, environment_id: str, container_id: str) -> _Known | None:
        state = self._engine.inspect(container_id)
        if not state.running or not state.started:
            return None
        files = None if state.pid is None else group_files(state.id, state.pid)
        run = Run(state.id, state.started)
        if files is not None:
            self._ends.watch(run, files, partial(self._reading, run, environment_id, is_last=True))
        known = self._known[container_id] = _Known(run, files)
        return known

    def _counters(self, known: _Known) -> RunCounters | None:
        if known.files is not None:
            try:
                counters = known.files.read()
            except RunOverError:
                return None
            if counters.network_rx_bytes is None:
                # Its process has ended: this was the last reading, even if the group stays.
                self._known.pop(known.run.container_id, None)
            return counters
        counters = self._engine.counters(known.run.container_id)
        state = self._engine.inspect(known.run.container_id)
        return counters if state.running and state.started == known.run.started else None

    def _reading(
        self, run: Run, environment_id: str, counters: RunCounters, *, is_last: bool = False
    ) -> Reading:
        return Reading(
            run,
            environment_id,
            _totals(counters),
            counters.memory_limit_bytes,
            self._clock(),
            is_last,
        )


def _totals(counters: RunCounters) -> Totals:
    return Totals(
        read_at_ns=counters.read_at_ns,
        cpu_ns=counters.cpu_ns,
        throttled_ns=counters.throttled_ns,
        memory_bytes=counters.memory_bytes,
        memory_peak_bytes=_told(counters.memory_peak_bytes),
        oom_kills=_told(counters.oom_kills),
        network_rx_bytes=_told(counters.network_rx_bytes),
        network_tx_bytes=_told(counters.network_tx_bytes),
        block_read_bytes=counters.block_read_bytes,
        block_write_bytes=counters.block_write_bytes,
    )


def _told(number: int | None) -> int:
    return _NOT_TOLD if number is None else number
