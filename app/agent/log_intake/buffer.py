"""The bounded buffer between those who read lines and the one who stores them.

A full buffer blocks the readers, and through them Docker's streams: the lines wait in Docker's own
file, and nothing is dropped here. Sources have it by turns: who writes without end fills what is
free, and holds up none of the others.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")

# What the intake holds in memory at most, but for the last lines below. More rides out longer
# pauses of the database.
_LINES = 10_000
_BYTES = 16 * 1024 * 1024

# What each source may hold whatever the others do. More costs memory for each container.
_ALWAYS_LINES = 32
_ALWAYS_BYTES = 64 * 1024

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
        always: int = _ALWAYS_LINES,
    ) -> None:
        """Bound the batches by items, bytes, and the seconds that the first of them waits."""
        self._most, self._most_bytes, self._seconds = most, most_bytes, seconds
        self._lines_limit, self._bytes_limit = lines, size
        self._always = always
        self._sources: OrderedDict[Hashable, _Source[T]] = OrderedDict()
        self._lines = 0
        self._bytes = 0
        self._closed = False
        lock = threading.Lock()
        self._filled = threading.Condition(lock)
        self._emptied = threading.Condition(lock)

    def put(self, source: Hashable, item: T, size: int, given_up: Callable[[], bool]) -> bool:
        """Add an item of a source as soon as there is room; False when `given_up` came first."""
        with self._emptied:
            while not self._has_room(source):
                if given_up():
                    return False
                self._emptied.wait(_TICK)
            queued = self._sources.get(source)
            if queued is None:
                queued = self._sources[source] = _Source()
            queued.items.append((item, size))
            queued.bytes += size
            self._lines += 1
            self._bytes += size
            # The one who waits is woken for the first item and for a full batch only.
            if self._lines in (1, self._most) or self._bytes >= self._most_bytes:
                self._filled.notify()
        return True

    def take(self) -> list[T]:
        """Return the next batch; an empty one once the buffer is closed and empty."""
        with self._filled:
            while not self._lines:
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

    def _has_room(self, source: Hashable) -> bool:
        if self._lines < self._lines_limit and self._bytes < self._bytes_limit:
            return True
        queued = self._sources.get(source)
        return queued is None or (len(queued.items) < self._always and queued.bytes < _ALWAYS_BYTES)

    def _is_batch(self) -> bool:
        return self._closed or self._lines >= self._most or self._bytes >= self._most_bytes

    def _pop(self) -> list[T]:
        """Take an equal share of each source, and what is left then of those that have more."""
        batch: list[T] = []
        size = 0
        while self._sources and len(batch) < self._most and size < self._most_bytes:
            share = max(1, (self._most - len(batch)) // len(self._sources))
            bytes_share = (self._most_bytes - size) // len(self._sources)
            source, queued = self._sources.popitem(last=False)
            taken = 0
            while queued.items and share > 0 and taken <= bytes_share:
                item, length = queued.items.popleft()
                batch.append(item)
                taken += length
                share -= 1
            queued.bytes -= taken
            size += taken
            if queued.items:
                self._sources[source] = queued  # behind the others
        self._lines -= len(batch)
        self._bytes -= size
        self._emptied.notify_all()
        return batch


class _Source(Generic[T]):
    """What one source has put and nobody has taken."""

    def __init__(self) -> None:
        self.items: deque[tuple[T, int]] = deque()
        self.bytes = 0
