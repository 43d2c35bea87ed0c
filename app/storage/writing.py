"""Whether the database takes changes, found out by making one."""

import secrets
from collections.abc import Callable

from app.core import deadline
from app.core.errors import StorageBusyError, StorageUnavailableError
from app.core.trial import Trial

PATIENCE = 6.0
"""Seconds that a change may wait: more than SQLite lets a request wait for its lock."""
SLOTS = 64
"""Rows that are written to. Of two processes on one row, one waits for the other's millisecond."""

_WAITS = (
    "A change of one row does not come to its end ({}): somebody holds a lock, the disk is too "
    "slow, or PostgreSQL waits for a replica (synchronous_standby_names) that does not confirm."
)


class WriteTrial:
    """Has `write` change a row, which it is given, as often as it has to be known."""

    def __init__(self, write: Callable[[int], None]) -> None:
        self._write = write
        self._slot = secrets.randbelow(SLOTS)
        self._trial = Trial("write-trial", self._attempt, every=0.0, patience=PATIENCE)

    def verify(self, seconds: float, every: float) -> None:
        """Return within `seconds` where changes are taken; one proves it for `every` seconds.

        Raises: StorageError.
        """
        self._trial.every = every
        try:
            self._trial.verify(seconds)
        except TimeoutError as error:
            raise StorageBusyError(for_operator=_WAITS.format(error)) from error

    def close(self) -> None:
        """End the thread."""
        self._trial.close()

    def _attempt(self) -> None:
        with deadline.within(PATIENCE):
            try:
                self._write(self._slot)
            except StorageUnavailableError as error:
                if deadline.remaining() > 0:
                    raise
                waits = _WAITS.format(f"no end after {PATIENCE:g} s")
                raise StorageBusyError(for_operator=waits) from error
