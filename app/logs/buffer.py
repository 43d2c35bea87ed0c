"""The bounded buffer between those who read lines and the one who stores them.

A full buffer blocks the readers, and through them Docker's streams: the lines wait in Docker's own
file, and nothing is dropped here.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

# What the intake holds in memory at most. More rides out longer pauses of the database.
_LINES = 10_000
_BYTES = 16 * 1024 * 1024

# How soon a blocked reader notices that it is to give up.
_TICK = 0.1


class Buffer(Generic[T]):
    """Takes items of a size from many threads, and gives them to one in batches."""

    def __init__(
        self,
        *,
        most: int,
        most_bytes: int,
        seconds: float,
        lines: int = _LINES,
        size: int = _BYTES,
    ) -> None:
        """Bound the batches by items, bytes, and the seconds that the first of them waits."""
        self._most, self._most_bytes, self._seconds = most, most_bytes, seconds
        self._lines_limit, self._bytes_limit = lines, size
        self._items: deque[tuple[T, int]] = deque()
        self._bytes = 0
        self._closed = False
        lock = threading.Lock()
        self._filled = threading.Condition(lock)
        self._emptied = threading.Condition(lock)

    def put(self, item: T, size: int, given_up: Callable[[], bool]) -> bool:
        """Add the item, as soon as there is room for it; False when `given_up` came first."""
        with self._emptied:
            while len(self._items) >= self._lines_limit or self._bytes >= self._bytes_limit:
                if given_up():
                    return False
                self._emptied.wait(_TICK)
            self._items.append((item, size))
            self._bytes += size
            # The one who waits is woken for the first item and for a full batch only.
            if len(self._items) in (1, self._most) or self._bytes >= self._most_bytes:
                self._filled.notify()
        return True

    def take(self) -> list[T]:
        """Return the next batch; an empty one once the buffer is closed and empty."""
        with self._filled:
            while not self._items:
                if self._closed:
                    return []
                self._filled.wait()
            ends_at = time.monotonic() + self._seconds
            while not self._is_batch() and (left := ends_at - time.monotonic()) > 0:
                self._filled.wait(left)
            return self._pop()

    def close(self) -> None:
        """Let `take` end once it has given everything."""
        with self._filled:
            self._closed = True
            self._filled.notify()

    def _is_batch(self) -> bool:
        return self._closed or len(self._items) >= self._most or self._bytes >= self._most_bytes

    def _pop(self) -> list[T]:
        batch: list[T] = []
        size = 0
        while self._items and len(batch) < self._most and size < self._most_bytes:
            item, length = self._items.popleft()
            batch.append(item)
            size += length
        self._bytes -= size
        self._emptied.notify_all()
        return batch
