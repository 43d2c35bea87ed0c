"""One thread of a process that publishes its readings every second.

A fork copies locks as they are, without the threads that would release them: a worker forked while
this thread of the master holds the metrics client's lock could never count. So no fork happens in
the middle of a round, and the child starts with nothing of its parent's publisher but the memory.
"""

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prefork_metrics.registry import Registry
from prefork_metrics.values import store

INTERVAL = 1.0
COLLECTOR = "runtime"
_VALUES = "values"
# A round takes a few milliseconds. One that hangs must not hang the master too.
_FORK_WAITS = 5.0
_END_WAITS = 5.0
_log = logging.getLogger(__name__)


@dataclass
class Part:
    """Something to publish, `every` so many seconds at most; it may raise."""

    name: str
    publish: Callable[[], None]
    every: float = 0.0
    due: float = 0.0


class Publisher:
    """Publishes its parts; a part that fails is logged once for each kind of failure."""

    def __init__(
        self, registry: Registry, parts: Sequence[Part], interval: float = INTERVAL
    ) -> None:
        self._errors = registry.scrape.collect_errors
        # First, so that the readings go to the place that the values have by then.
        self._parts = (Part(_VALUES, self._check_values), *parts)
        self._interval = interval
        self._round = threading.Lock()
        self._held = False
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._told: set[tuple[str, str]] = set()
        self.on_fork: Callable[[], None] | None = None
        """Called in a forked child, where this publisher ends."""

    def start(self) -> None:
        """Publish everything once, and from now on in a thread; call it after fork."""
        _started.add(self)
        self.publish()
        self._thread = threading.Thread(target=self._run, name="runtime-publisher", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and publish for the last time; harmless the second time."""
        if self._thread is None:
            return
        self._closing.set()
        self._thread.join(_END_WAITS)
        ended, self._thread = not self._thread.is_alive(), None
        _started.discard(self)
        if ended:  # A round that hangs must not hang the end too.
            for part in self._parts:
                part.due = 0.0
            self.publish()

    def publish(self) -> None:
        """Publish each part that is due."""
        now = time.monotonic()
        with self._round:
            for part in self._parts:
                if part.due <= now:
                    part.due = now + part.every
                    self._publish(part)

    def hold(self) -> None:
        """Let no round begin: the process forks."""
        self._held = self._round.acquire(timeout=_FORK_WAITS)

    def resume(self) -> None:
        """The fork is done."""
        if self._held:
            self._held = False
            self._round.release()

    def abandon(self) -> None:
        """End here, in the child of a fork; the parent goes on."""
        self._thread = None
        self._round = threading.Lock()
        if self.on_fork is not None:
            self.on_fork()

    def _run(self) -> None:
        while not self._closing.wait(self._interval):
            self.publish()

    def _publish(self, part: Part) -> None:
        try:
            part.publish()
        except Exception as error:
            self._tell(part, error)

    def _tell(self, part: Part, error: Exception) -> None:
        kind = part.name, type(error).__name__
        if kind not in self._told:
            self._told.add(kind)
            _log.warning("reading failed", extra={"part": part.name, "why": repr(error)})
        try:
            self._errors.child(COLLECTOR).inc()
        except Exception:
            return  # What cannot even be counted is in the log.

    def _check_values(self) -> None:
        troubles = store.check()
        if troubles:
            self._errors.child(_VALUES).inc(troubles)


_started: "weakref.WeakSet[Publisher]" = weakref.WeakSet()


def _before_fork() -> None:
    for publisher in list(_started):
        publisher.hold()


def _after_fork_in_parent() -> None:
    for publisher in list(_started):
        publisher.resume()


def _after_fork_in_child() -> None:
    for publisher in list(_started):
        publisher.abandon()
    _started.clear()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
