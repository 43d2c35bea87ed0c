"""Pauses of Python's garbage collector.

The collector calls back in the middle of whatever allocated, which may be the metrics client while
it holds its lock: a callback that counted there would wait for itself for ever. So the callback
takes no lock and calls nobody; it appends to a deque, and the publisher's thread counts from it.
"""

import gc
import time
from collections import deque

from prefork_metrics.registry import Registry
from prefork_metrics.standard.process import GENERATIONS

# Between two rounds of the publisher there are a few hundred at most. What a publisher that hangs
# leaves lying goes, the oldest first.
_KEPT = 10_000


class CollectorReadings:
    """Notes each collection of this process, and publishes them under its slot."""

    def __init__(self, registry: Registry, worker: str) -> None:
        families = registry.process
        self._noted: deque[tuple[int, float, int, int]] = deque(maxlen=_KEPT)
        self._started = 0.0
        self._collections = [families.gc_collections.child(worker, name) for name in GENERATIONS]
        self._objects = [families.gc_collected_objects.child(worker, name) for name in GENERATIONS]
        self._uncollectable = [
            families.gc_uncollectable_objects.child(worker, name) for name in GENERATIONS
        ]
        self._tracked = [families.gc_objects.child(worker, name) for name in GENERATIONS]
        self._duration = [families.gc_duration.child(name) for name in GENERATIONS]

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
            generation, seconds, objects, uncollectable = self._noted.popleft()
            self._collections[generation].inc()
            self._objects[generation].inc(objects)
            self._uncollectable[generation].inc(uncollectable)
            self._duration[generation].observe(seconds)

    def publish_objects(self) -> None:
        """Count what the collector looks after; that takes it milliseconds for 100,000 objects."""
        for generation, tracked in enumerate(self._tracked):
            tracked.set(len(gc.get_objects(generation=generation)))

    def _note(self, phase: str, info: dict[str, int]) -> None:
        # The collector never runs in two threads at once, nor inside itself.
        if phase == "start":
            self._started = time.perf_counter()
        else:
            seconds = time.perf_counter() - self._started
            generation, found = info["generation"], info["collected"]
            self._noted.append((generation, seconds, found, info["uncollectable"]))
