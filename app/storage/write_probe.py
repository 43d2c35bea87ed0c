"""Whether the database takes changes, found out by making one.

A change may wait where reading does not: for another process's lock, for a slow disk, for a replica
that has to confirm it. What waits is no fault yet; what waits longer than a request would is.
"""

import secrets
import time
from collections.abc import Callable

from app.deadline import DeadlineExceededError, SingleFlight
from app.errors import StorageBusyError

EVERY = 5.0
"""Seconds for which one change proves that the next is taken. Longer: a fault is told later.
Shorter: probes write more than users do."""

PATIENCE = 6.0
"""Seconds that a change may wait: more than SQLite lets a request wait for the lock."""

SLOTS = 64
"""Rows that probes write to; of processes on one row, one waits for the other's millisecond."""


class WriteProbe:
    """Makes a change every few seconds at most, in a thread of its own, never two at once.

    `write` makes one in the row that it is given. Raises StorageError; it ends by itself.
    """

    def __init__(self, write: Callable[[int], None]) -> None:
        self._write = write
        self._slot = secrets.randbelow(SLOTS)
        self._flight = SingleFlight("write-probe", self._prove)
        self._proved_at: float | None = None
        self._failed: tuple[float, Exception] | None = None

    def verify(self, seconds: float) -> None:
        """Return within `seconds` where changes are taken.

        Raises: StorageError; StorageBusyError where one has waited for too long.
        """
        now = time.monotonic()
        if self._failed is not None and now - self._failed[0] < EVERY:
            raise self._failed[1].with_traceback(None)
        if self._proved_at is not None and now - self._proved_at < EVERY:
            return
        run = self._flight.begin()
        try:
            run.result(seconds)
        except DeadlineExceededError:
            if run.seconds > PATIENCE or self._proved_at is None:
                raise StorageBusyError(for_operator=_WAITS.format(run.seconds)) from None
            # Others write, or the disk is slow: what waits so long still gets its turn.

    def close(self) -> None:
        """End the thread after its run."""
        self._flight.close()

    def _prove(self) -> None:
        try:
            self._write(self._slot)
        except Exception as error:
            self._failed = time.monotonic(), error
            raise
        self._failed = None
        self._proved_at = time.monotonic()


_WAITS = (
    "A change of one row has waited for {:.1f} s: somebody holds a lock, the disk is too slow, or "
    "PostgreSQL waits for a replica (synchronous_standby_names) that does not confirm."
)
