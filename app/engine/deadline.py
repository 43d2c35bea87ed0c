"""The deadline of the Docker call that this thread is making.

The SDK's time-out bounds each packet, so an engine that hangs half-way or trickles holds a call
for ever. Here one moment bounds the whole logical call, however many requests it takes; the
client and its sockets ask how much is left. No watchdog thread is needed for that.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# A context variable is per thread, so calls at the same time do not see each other's deadline.
_ends_at: ContextVar[float | None] = ContextVar("engine_deadline", default=None)


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Let everything inside end within `seconds`; an outer limit that ends earlier still holds."""
    ends_at = time.monotonic() + seconds
    outer = _ends_at.get()
    token = _ends_at.set(ends_at if outer is None else min(outer, ends_at))
    try:
        yield
    finally:
        _ends_at.reset(token)


def remaining() -> float:
    """Return the seconds left, always more than zero.

    Raises: TimeoutError when none are left; RuntimeError outside of `limit`, since a call without
    a deadline is a bug and must not become a thread that hangs.
    """
    ends_at = _ends_at.get()
    if ends_at is None:
        raise RuntimeError("a Docker call was made outside of a deadline")
    left = ends_at - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline of the Docker call has passed")
    return left
