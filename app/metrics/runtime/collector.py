"""Pauses of Python's garbage collector.

The collector calls back in the middle of whatever allocated, which may be the metrics client while
it holds its lock: a callback that counted there would wait for itself for ever. So the callback
takes no lock and calls nobody; it appends to a deque, and the publisher's thread counts from it.
"""

import gc
import time
from collections import deque

from app.metrics.catalogue import GENERATIONS, gc_collected_objects, gc_collections, gc_duration

# Between two rounds of the publisher there are a few hundred at most. What a publisher that hangs
# leaves lying goes, the oldest first.
_KEPT = 10_000


class CollectorReadings:
    """Notes each collection of this process, and publishes them under its slot."""

    def __init__(self, worker: str) -> None:
        self._noted: deque[tuple[int, float, int]] = deque(maxlen=_KEPT)
        self._started = 0.0
        self._collections = [gc_collections.child(worker, name) for name in GENERATIONS]
        self._objects = [gc_collected_objects.child(worker, name) for name in GENERATIONS]
        self._duration = [gc_duration.child(name) for name in GENERATIONS]

    def start(self) -> None:
        """Begin to note collections."""
        gc.callbacks.append(self._note)

    def stop(self) -> None:
        """Note no more."""
        if self._note in gc.callbacks:
            gc.callbacks.remove(self._note)

    def publish(self) -> None:
        """Count what has been noted since the last time."""
        for _ in range(len(self._noted)):
            generation, seconds, objects = self._noted.popleft()
            self._collections[generation].inc()
            self._objects[generation].inc(objects)
            self._duration[generation].observe(seconds)

    def _note(self, phase: str, info: dict[str, int]) -> None:
        # The collector never runs in two threads at once, nor inside itself.
        if phase == "start":
            self._started = time.perf_counter()
        else:
            seconds = time.perf_counter() - self._started
            self._noted.append((info["generation"], seconds, info["collected"]))
