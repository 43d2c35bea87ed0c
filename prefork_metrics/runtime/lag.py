"""How late a thread wakes up that asked to sleep 100 ms.

The counterpart of event-loop lag in a threaded worker: a thread that holds the interpreter's lock,
or a CPU that others have taken, holds up this thread as it holds up every request.

A thread that was held up for a second would have woken up ten times. So a wake-up late by L
stands for all that fell due meanwhile: L, L - 0.1, L - 0.2 … down to the last above 0, one for
each 100 ms missed, begun ones too. Without this a stall of ten seconds would weigh as much as a
delay of a millisecond; with it the histogram tells the share of time, not of wake-ups.
"""

import math
import threading
import time
from collections import deque

from prefork_metrics.registry import Registry

PERIOD = 0.1
# Two minutes: a process that was frozen longer need not tell the rest.
MOST = 1200
_KEPT = 10_000


def missed(late: float) -> list[float]:
    """Return what to observe for a wake-up that came `late` seconds late: at least one value."""
    late = max(0.0, late)
    # Rounded, since 0.3 is a little less than three times 0.1.
    times = max(1, math.ceil(round(late / PERIOD, 6)))
    return [late - number * PERIOD for number in range(min(times, MOST))]


class LagReadings:
    """Measures in a thread of its own; the publisher's thread observes."""

    def __init__(self, registry: Registry) -> None:
        self._family = registry.process.scheduling_lag
        self._noted: deque[float] = deque(maxlen=_KEPT)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scheduling-lag", daemon=True)

    def start(self) -> None:
        """Begin to measure."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._closing.set()
        self._thread.join(1.0)

    def publish(self) -> None:
        """Observe what has been measured since the last time."""
        histogram = self._family.child()
        for _ in range(len(self._noted)):
            for late in missed(self._noted.popleft()):
                histogram.observe(late)

    def _run(self) -> None:
        while True:
            due = time.monotonic() + PERIOD
            if self._closing.wait(PERIOD):
                return
            self._noted.append(time.monotonic() - due)
