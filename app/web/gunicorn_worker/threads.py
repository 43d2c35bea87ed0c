"""The threads that serve requests: which one gets which request, and how many wait for one.

A WebSocket, which is what goes on after a request, has a thread for itself for as long as it lasts:
however many there are, they take none from requests. The application bounds their number.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from time import perf_counter
from typing import Any

from app.web.gunicorn_worker.connection import Connection, State
from app.web.gunicorn_worker.framing import Stage

RESERVED_THREADS = 2
"""Threads of a worker that serve probes and scrapes while every request thread is held."""
Serve = Callable[[Connection], Any]
Done = Callable[[Connection, "Future[Any]"], None]
_log = logging.getLogger(__name__)


class RequestThreads:
    """Hands requests to threads; used by the main thread only, but for the readings.

    Attributes: places (of threads that may wait for a client that the application has not admitted
    to be waited for: a quarter of them).
    """

    def __init__(
        self, number: int, serve: Serve, done: Done, freed: Callable[[Connection], None]
    ) -> None:
        """Make the pools.

        `serve` runs in a thread, and `done` there when nothing goes on over the connection any
        more; `freed` when a WebSocket does, and the request has no thread any more.
        """
        self._number = number
        self._serve = serve
        self._done = done
        self._freed = freed
        self.requests = ThreadPoolExecutor(number, thread_name_prefix="request")
        self.reserved = ThreadPoolExecutor(RESERVED_THREADS, thread_name_prefix="reserved")
        self.places = threading.Semaphore(max(1, number // 4))
        self._held = 0
        self._serving: dict[Connection, None] = {}

    def start(self) -> None:
        """Have all threads from the beginning, so that their number tells of no leak."""
        _make_threads(self.requests, self._number)
        _make_threads(self.reserved, RESERVED_THREADS)

    def dispatch(self, connection: Connection, stage: Stage) -> None:
        """Have a request served: at once, or as soon as a thread is free for it.

        One whose body is large too: whose it is, and so whether its client is to be waited for,
        is the application's to say, and nobody waits for his turn behind those who are slow.
        """
        connection.state = State.QUEUED
        large = connection.sock.request.large = stage is Stage.LARGE
        self._submit(connection, self.requests if large else self._pool_for(connection))

    def finished(self, connection: Connection) -> None:
        """Take note that nothing goes on over a connection any more."""
        del self._serving[connection]
        self.free(connection)

    def free(self, connection: Connection) -> None:
        """Take note that a request is served, and has no thread any more."""
        if connection.pool is self.requests:
            self._held -= 1
        connection.pool = None

    def busy(self) -> tuple[int, int]:
        """Return how many request threads are held, and how many there are."""
        return min(self._held, self._number), self._number

    def held(self) -> int:
        """Return how many requests have a request thread, or wait for one."""
        return self._held

    def queued(self) -> int:
        """Return how many requests wait for a thread."""
        return max(0, self._held - self._number)

    def serving(self) -> int:
        """Return how many requests threads are serving."""
        return len(self._serving) - max(0, self._held - self._number)

    def oldest(self) -> float:
        """Return for how many seconds a thread has had the oldest request that is not to last."""
        requests = [connection.sock.request for connection in list(self._serving)]
        started = [each.started for each in requests if each.started and not each.lasting]
        return perf_counter() - min(started) if started else 0.0

    def _pool_for(self, connection: Connection) -> ThreadPoolExecutor:
        """Return the threads for a request: the one place that tells kinds of requests apart."""
        if connection.framing.health and self._held >= self._number:
            return self.reserved
        return self.requests

    def _submit(self, connection: Connection, pool: ThreadPoolExecutor) -> None:
        connection.pool = pool
        self._serving[connection] = None
        if pool is self.requests:
            self._held += 1
        served: Future[Any] = pool.submit(self._serve, connection)
        served.add_done_callback(lambda future: self._served(connection, future))

    def _served(self, connection: Connection, served: "Future[Any]") -> None:
        """Go on with a connection whose request is served, in the thread that has served it."""
        handler = connection.sock.request.handler
        if handler is None:
            self._done(connection, served)
            return
        self._freed(connection)

        def run() -> None:
            try:
                handler.run()
            finally:
                self._done(connection, served)

        try:
            threading.Thread(target=run, name="websocket", daemon=True).start()
        except RuntimeError:  # the host gives no more threads
            _log.exception("a WebSocket could not be served")
            handler.give_up()
            self._done(connection, served)


def _make_threads(pool: ThreadPoolExecutor, number: int) -> None:
    """Let a pool make all its threads: one for each piece of work that none is idle for."""
    begin = threading.Barrier(number)
    for _ in range(number):
        pool.submit(begin.wait)
