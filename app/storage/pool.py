"""The connection pool: SQLAlchemy's queue, with checkouts that do not wait."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.pool import QueuePool


class _Checkout(threading.local):
    """Whether a checkout of the thread waits for a connection."""

    waits: bool = True


_checkout = _Checkout()


@contextmanager
def no_wait() -> Iterator[None]:
    """Make a checkout of this thread fail at once when every slot is taken.

    Asking the pool for its size first would race with other threads, and losing that race costs the
    full time-out: only the pool itself can decide and take the slot in one step.
    """
    _checkout.waits = False
    try:
        yield
    finally:
        _checkout.waits = True


class Pool(QueuePool):
    """QueuePool whose waiting time depends on who asks.

    SQLAlchemy reads `_timeout` once for each wait; there is no public way to pass another value for
    one checkout. `tests/storage/test_probe.py` fails if a release stops reading it.
    """

    @property
    def _timeout(self) -> float:
        return self._longest_wait if _checkout.waits else 0.0

    @_timeout.setter
    def _timeout(self, seconds: float) -> None:
        self._longest_wait = seconds
