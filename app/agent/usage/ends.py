"""Sees runs end, and reads them in that moment: what they used after their last turn is known.

Docker takes the files away some ten milliseconds after an end, which on a busy machine a thread may
wait for its turn on one processor, while another has time for it. So a thread waits on each of some
processors, and the first that gets to it reads. Threads only read; what was read is kept until it
is booked, since there is no second time.
"""

import logging
import os
import resource
import select
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import NamedTuple

from app.core.isolation import Loop, failed
from app.domain.usage.ledger import Reading, Run
from app.engine import GroupFiles, RunCounters, RunEnd
from app.engine.cgroups import RunOverError
from app.engine.run_end import DESCRIPTORS

# Of the files that a process may open; the rest is for the database, Docker and logs.
_SHARE = 0.5
# Processors that are waited on.
_MOST_THREADS = 4
# Readings that wait for a database that is down.
_MOST_KEPT = 10_000
_log = logging.getLogger(__name__)


class _Watched(NamedTuple):
    run: Run
    end: RunEnd
    make: Callable[[RunCounters], Reading]


class Ends:
    """Runs whose end is waited for; any thread may call it."""

    def __init__(self, on_read: Callable[[], None], most: int | None = None) -> None:
        """Call `on_read` when there is a reading; watch at most so many, or as many as fit."""
        self._on_read = on_read
        self._most = _room() if most is None else most
        self._lock = threading.Lock()
        # By descriptor. Who takes one out has it: that asks for no lock, which another might hold.
        self._watched: dict[int, _Watched] = {}
        self._runs: set[Run] = set()
        self._readings: list[Reading] = []
        self._polls: list[select.epoll] = []
        self._threads: list[threading.Thread] = []
        self._wake = -1
        self._told = self._closed = False

    def watch(self, run: Run, files: GroupFiles, make: Callable[[RunCounters], Reading]) -> None:
        """Have the end of a run seen, where that can be done; `make` makes what is kept."""
        with self._lock:
            if self._closed or run in self._runs:
                return
            if len(self._runs) >= self._most:
                self._tell()
                return
            try:
                end = RunEnd(files)
            except (OSError, RunOverError):
                return
            descriptor = end.fileno()
            self._watched[descriptor] = _Watched(run, end, make)
            self._runs.add(run)
            try:
                self._wait_on(descriptor)
            except OSError:
                # Unless a thread has seen its end already, which gives it back.
                if self._watched.pop(descriptor, None) is not None:
                    self._runs.discard(run)
                    end.close()

    def readings(self) -> list[Reading]:
        """Return the last readings that are to be booked."""
        with self._lock:
            return self._readings.copy()

    def forget(self, count: int) -> None:
        """Drop the first so many, which are booked."""
        with self._lock:
            del self._readings[:count]

    def close(self, seconds: float) -> list[str]:
        """Watch no more; return the names of threads that go on after so many seconds."""
        with self._lock:
            self._closed, threads = True, self._threads
        if not threads:
            return []
        os.eventfd_write(self._wake, 1)
        until = monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, until - monotonic()))
        if hanging := [thread.name for thread in threads if thread.is_alive()]:
            return hanging
        for watched in self._watched.values():
            watched.end.close()
        for poll in self._polls:
            poll.close()
        os.close(self._wake)
        return []

    def _wait_on(self, descriptor: int) -> None:
        """Have all threads wait on it. Raises: OSError, for want of files too."""
        if not self._threads:
            self._start()
        for poll in self._polls:
            poll.register(descriptor, select.EPOLLIN)

    def _start(self) -> None:
        if self._wake < 0:
            self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        for processor in sorted(os.sched_getaffinity(0))[:_MOST_THREADS]:
            poll = select.epoll()
            poll.register(self._wake, select.EPOLLIN)
            thread = threading.Thread(
                target=self._run, args=(poll, processor), name="usage ends", daemon=True
            )
            self._polls.append(poll)
            self._threads.append(thread)
            thread.start()

    def _run(self, poll: select.epoll, processor: int) -> None:
        with suppress(OSError):  # where that may not be chosen, the kernel does
            os.sched_setaffinity(0, {processor})
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == self._wake:
                    return
                watched = self._watched.pop(descriptor, None)
                if watched is None:  # another thread has it
                    with suppress(OSError):
                        poll.unregister(descriptor)
                elif watched.end.has_come:
                    self._take(watched)
                else:  # of this number there was one that another thread has closed
                    self._watched[descriptor] = watched

    def _take(self, ended: _Watched) -> None:
        """Read a run that has ended. First of all that, since Docker takes its files away."""
        reading = None
        try:
            reading = ended.make(ended.end.read())
        except RunOverError:
            pass  # the ledger has the time since the reading before as unread
        except Exception:
            failed(Loop.USAGE)
            _log.exception("usage: an end could not be read")
        with self._lock:
            if reading is not None and len(self._readings) < _MOST_KEPT:
                self._readings.append(reading)
            self._runs.discard(ended.run)
            ended.end.close()
        self._on_read()

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            _log.warning("ends of runs unwatched", extra={"watched": self._most})


def _room() -> int:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    infinite = limit == resource.RLIM_INFINITY
    return _MOST_KEPT if infinite else min(_MOST_KEPT, int(limit * _SHARE / DESCRIPTORS))
