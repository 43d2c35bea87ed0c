"""The task that has the engine tell what volumes and writable layers hold, once a day.

The engine walks through the files of all volumes for it, which is work for its disks: so it is
asked once for everything, never twice at a time, and after a failure not soon again. That takes up
to an hour, in a thread of its own: the task comes round meanwhile, as it has to. What the engine
cannot tell is unread, and booked by the next reading.
"""

import logging
import time
from collections.abc import Callable

from app.core.errors import EngineError
from app.core.isolation import Loop
from app.core.items import Items
from app.domain.usage.disk import DiskLedger
from app.engine import Engine

_AFTER_TROUBLE = 3600.0
# The engine's gateway waits an hour for the walk; the rest is for booking.
_SECONDS = 4200.0
_ALL = "disks"
_log = logging.getLogger(__name__)


class DiskMeter:
    """Asks in a term; one thread calls `run`, as often as it likes."""

    def __init__(
        self,
        engine: Engine,
        ledger: DiskLedger,
        interval: float,
        on_lost: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask every `interval` seconds, by what is booked: over terms and restarts; 0: never.

        `on_lost` is called where another agent leads.
        """
        self._engine = engine
        self._ledger = ledger
        self._interval = interval
        self._clock = clock
        self._not_before = clock()
        self._readings = Items(Loop.USAGE_DISK, seconds=_SECONDS, on_lost=on_lost, clock=clock)

    @property
    def is_reading(self) -> bool:
        """Whether the engine is being asked."""
        return self._readings.busy > 0

    def run(self) -> None:
        """Begin to read and book if it is time to; returns at once. Raises: StorageError."""
        if not self._interval:
            # Whoever switched it off, as where no walk comes to its end, awaits no reading.
            self._ledger.forget_failure()
            return
        if self.is_reading or self._clock() < self._not_before:
            return
        if not self._ledger.is_due(self._interval):
            return
        self._not_before = self._clock() + min(_AFTER_TROUBLE, self._interval)
        self._readings.begin([_ALL], lambda _: self._read())

    def close(self, seconds: float) -> list[str]:
        """Begin no more; see `Task.close`."""
        return self._readings.close(seconds)

    def _read(self) -> None:
        try:
            found = self._engine.disk_usage()
        except EngineError as error:
            self._ledger.note_failure(error.slug)
            raise
        if untold := sum(sizes is None for sizes in found.values()):
            _log.warning("sizes on disk not told", extra={"environments": untold})
        self._ledger.store(found)
        # Also where nothing is held, of which the ledger has no row.
        self._not_before = self._clock() + self._interval
