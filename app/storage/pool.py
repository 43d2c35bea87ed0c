"""The connection pool: SQLAlchemy's queue, from which a caller may also ask without queueing."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.pool import QueuePool


class _Manners(threading.local):
    """Whether the thread is willing to queue for a connection."""

    queues: bool = True


_manners = _Manners()


@contextmanager
def without_queueing() -> Iterator[None]:
    """Make a checkout of this thread fail at once when every slot is taken.

    Asking the pool for its size first would race with other threads, and losing that race costs the
    full time-out: only the pool itself can decide and take the slot in one step.
    """
    _manners.queues = False
    try:
        yield
    finally:
        _manners.queues = True


class Pool(QueuePool):
    """QueuePool whose waiting time depends on who asks.

    SQLAlchemy reads `_timeout` once for each wait; there is no public way to pass another value for
    one checkout. `tests/storage/test_probe.py` fails if a release stops reading it.
    """

    @property
    def _timeout(self) -> float:
        return self._patience if _manners.queues else 0.0

    @_timeout.setter
    def _timeout(self, seconds: float) -> None:
        self._patience = seconds
