"""What one step of a test must not leave behind.

The shared fixture looks at the end of a test, when doors are closed; this looks at a step in it.
"""

import gc
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_leaks() -> Iterator[None]:
    """Fail when descriptors or threads are more after the block than before."""
    before = _counts()
    yield
    ends_at = time.monotonic() + 10
    while any(now > then for now, then in zip(_counts(), before, strict=True)):
        assert time.monotonic() < ends_at, f"descriptors and threads: {before} -> {_counts()}"
        # Only when needed: a collection takes 20 ms, and most blocks leave no cycles behind.
        gc.collect()
        time.sleep(0.02)


def _counts() -> tuple[int, int]:
    return len(os.listdir("/proc/self/fd")), threading.active_count()
