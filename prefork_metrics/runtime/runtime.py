"""The telemetry of one process, from its start to its end."""

import logging
from collections.abc import Sequence

from prefork_metrics.registry import Registry
from prefork_metrics.runtime.collector import CollectorReadings
from prefork_metrics.runtime.lag import LagReadings
from prefork_metrics.runtime.limits import LimitReadings
from prefork_metrics.runtime.process import PROC, ProcessReadings
from prefork_metrics.runtime.publisher import Part, Publisher
from prefork_metrics.runtime.saturation import (
    Listener,
    QueueReadings,
    SaturationReadings,
    ServerReadings,
)

MASTER = "master"
_log = logging.getLogger(__name__)
# For what costs milliseconds or seldom changes.
_SELDOM = 5.0
# For what holds up all threads of the process.
_RARELY = 30.0


class Runtime:
    """The telemetry of this process, from `start` to `close`.

    Keep one for the life of a process: a second one would count its CPU time again.
    """

    def __init__(
        self,
        registry: Registry,
        role: str,
        worker: str,
        *,
        server: ServerReadings | None = None,
        sockets: Sequence[Listener] = (),
    ) -> None:
        """Prepare; nothing runs yet.

        `role` is one of the registry's, `worker` the slot. `server` tells of a worker that serves
        requests; the busy threads without those that serve a scrape (see `Scrapes`). `sockets` are
        the listening ones.
        """
        self._registry = registry
        self._role = role
        self._worker = worker
        self._saturation = SaturationReadings(registry, server) if server else None
        self._sockets = tuple(sockets)
        # The master serves no requests: nobody waits for a thread of it.
        self._lag = LagReadings(registry) if worker != MASTER else None
        self._collector = CollectorReadings(registry, worker)
        self._publisher: Publisher | None = None

    def start(self) -> None:
        """Begin to measure and publish; call it after fork."""
        self._collector.start()
        if self._lag is not None:
            self._lag.start()
        self._publisher = Publisher(self._registry, self._parts())
        # A child of this process has another slot, and notes its own collections.
        self._publisher.on_fork = self._collector.stop
        self._publisher.start()

    def close(self) -> None:
        """Publish for the last time and end all threads; harmless the second time."""
        if self._publisher is None:
            return
        publisher, self._publisher = self._publisher, None
        self._collector.stop()
        if self._lag is not None:
            self._lag.stop()
        publisher.close()
        if self._saturation is not None:
            self._saturation.clear()

    def _parts(self) -> list[Part]:
        process = ProcessReadings(self._registry, self._role, self._worker)
        parts = [
            Part("process", process.publish),
            Part("collector", self._collector.publish),
            Part("blocks", process.publish_blocks, every=_RARELY),
            Part("objects", self._collector.publish_objects, every=_RARELY),
            Part("limits", LimitReadings(self._registry, self._role).publish, every=_SELDOM),
        ]
        if (PROC / "self/smaps_rollup").exists():
            parts.append(Part("shared memory", process.publish_share, every=_SELDOM))
        else:
            _log.warning("this kernel does not tell proportional memory: its family has no series")
        if self._lag is not None:
            parts.append(Part("lag", self._lag.publish))
        if self._saturation is not None:
            parts.append(Part("saturation", self._saturation.publish))
        if self._sockets:
            parts.append(Part("accept queue", QueueReadings(self._registry, self._sockets).publish))
        return parts
