"""How long the calling thread may still wait for the database.

A deadline belongs to the work that a thread does (a probe, a connect, a ping), not to a
connection: it is therefore kept in the thread and read wherever that thread waits. Scopes nest and
an inner one can only shorten what is left, so that a bounded step stays bounded whatever it calls.
"""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic


class _Scope(threading.local):
    """The moment, on the monotonic clock, at which the thread stops waiting."""

    ends_at: float = math.inf


_scope = _Scope()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let everything inside wait for at most `seconds` in all."""
    outer = _scope.ends_at
    _scope.ends_at = min(outer, monotonic() + seconds)
    try:
        yield
    finally:
        _scope.ends_at = outer


def remaining(at_most: float = math.inf) -> float:
    """Seconds that the thread may still wait: never negative, never more than `at_most`."""
    return max(0.0, min(at_most, _scope.ends_at - monotonic()))
