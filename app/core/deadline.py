"""How long the calling thread may still wait, for the database and for Docker alike.

A deadline belongs to the work that a thread does (a probe, a statement, a Docker call, an item of a
loop), not to a connection: it is kept with the thread and read wherever that waits. Scopes nest,
and an inner one can only shorten what is left, so that a bounded step stays bounded whatever it
calls.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

# A context variable is per thread: work at the same time does not see another's deadline.
_ends_at: ContextVar[float] = ContextVar("deadline", default=math.inf)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let everything inside wait for at most `seconds` in all."""
    token = _ends_at.set(min(_ends_at.get(), monotonic() + seconds))
    try:
        yield
    finally:
        _ends_at.reset(token)


def remaining(at_most: float = math.inf) -> float:
    """Return the seconds that the thread may still wait, from zero to `at_most`."""
    return max(0.0, min(at_most, _ends_at.get() - monotonic()))


def required() -> float:
    """Return the seconds left, always more than zero.

    Raises: TimeoutError when none are left; RuntimeError outside of `within`, since a call without
    a deadline is a bug and must not become a thread that hangs.
    """
    left = _ends_at.get() - monotonic()
    if left == math.inf:
        raise RuntimeError("this call needs a deadline, and has none")
    if left <= 0:
        raise TimeoutError("the deadline of this call has passed")
    return left
