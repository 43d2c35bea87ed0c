"""gunicorn's threaded worker, with six differences that an operator notices.

**Probes and scrapes are never starved.** While every request thread is held, the stock worker
queues whatever comes behind them, a liveness probe too: a busy service is then killed as a dead
one. Here a connection that arrives in such a moment is looked at first; what asks for /health is
served by a few threads of its own. Nothing is read from the connection for that, only peeked at.
For that it must be accepted, so a few more connections are than `worker_connections` says; what
waits in the kernel's queue behind those nobody can look at, a probe neither.

**A stopping worker closes its copy of the listening socket.** The stock worker only looks away from
it while it finishes its requests. As long as any copy is open the kernel goes on taking
connections for a server that will never read them; they hang until the last worker is gone and are
then reset. Here those that wait already are served, and new ones are refused at once (or, on a
reload, go to the new workers), so that a client or a proxy can turn elsewhere.

**A client that does not hang up holds up nobody.** After the last answer on a connection the stock
worker waits up to two seconds for the client to close it, in the one thread that takes in
connections. Here the poller watches for that.

**A connection that was a WebSocket serves no further request.** The stock worker would read the
next one from it.

**What lasts long hears of the end at once.** The stock worker only changes `alive`, which hundreds
of threads would have to look at again and again.

**All threads are there from the beginning.** The stock worker makes them one by one, as more come
to wait, and never ends one: after the first rush a healthy worker looks as if it leaked threads.
"""

import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

RESERVED_THREADS = 2
RESERVED_CONNECTIONS = 32
_RESERVED_FOR = (b"GET /health", b"HEAD /health")
_PEEKED = max(map(len, _RESERVED_FOR))
# How long a connection that says nothing may wait for its turn to be looked at.
_SILENCE_SECONDS = 5.0
# How long a client may take to close its end after the last answer, before it is cut off.
_PARTING_SECONDS = 2.0
_DRAINED = 65536


class Worker(ThreadWorker):
    """The worker class of `gunicorn.conf.py`.

    `held` is touched by the main thread only: connections are handed out and taken back there.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._stopping: list[Callable[[], None]] = []
        super().__init__(*arguments, **named)
        self.worker_connections += RESERVED_CONNECTIONS
        self.parting: deque[Any] = deque()

    @property
    def alive(self) -> bool:
        """Whether the worker serves; falls with SIGTERM, in a signal handler, and never rises."""
        return self._alive

    @alive.setter
    def alive(self, alive: bool) -> None:
        self._alive = alive
        if not alive:
            self._tell_stopping()

    def when_stopping(self, call: Callable[[], None]) -> None:
        """Have `call` called when the worker stops serving, now if it has; maybe more than once."""
        self._stopping.append(call)
        if not self.alive:
            self._tell_stopping()

    def _tell_stopping(self) -> None:
        for call in self._stopping:
            call()

    def run(self) -> None:
        """Serve, to the end of the process."""
        _make_threads(self.tpool, self.cfg.threads)
        _make_threads(self.reserve, RESERVED_THREADS)
        super().run()

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """Make the request threads, and beside them the reserved ones."""
        self.held = 0
        self.reserve = ThreadPoolExecutor(RESERVED_THREADS, thread_name_prefix="reserved")
        pool: ThreadPoolExecutor = super().get_thread_pool()
        return pool

    def enqueue_req(self, conn: Any) -> None:
        """Hand a connection that has something to say to a thread."""
        conn.reserved = False
        if self.held >= self.cfg.threads and not self.cfg.is_ssl:
            beginning = _read_ahead(conn) or _peek(conn.sock)
            if not beginning:
                self._wait_or_close(conn, gone=beginning == b"")
                return
            conn.reserved = beginning.startswith(_RESERVED_FOR)
        if conn.reserved:
            done: Future[Any] = self.reserve.submit(self.handle, conn)
            done.add_done_callback(partial(self._give_back, conn))
        else:
            self.held += 1
            super().enqueue_req(conn)

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Handle a request; one that asks for an upgrade is the last of its connection."""
        if any(name == "UPGRADE" for name, _ in req.headers):
            req.force_close()
        keep: bool = super().handle_request(req, conn)
        return keep

    def finish_request(self, conn: Any, fs: "Future[Any]") -> None:
        """Take back a connection whose request is answered."""
        if not conn.reserved:
            self.held -= 1
        if _was_last(fs) and not self.cfg.is_ssl:
            self._part(conn)
        else:
            super().finish_request(conn, fs)

    def murder_pending(self) -> None:
        """Close connections that have said nothing for too long, or not hung up."""
        super().murder_pending()
        while self.parting and self.parting[0].timeout <= time.monotonic():
            self._close_parted(self.parting[0])

    def busy_threads(self) -> tuple[int, int]:
        """Return how many request threads are held, and how many there are."""
        return min(self.held, self.cfg.threads), self.cfg.threads

    def set_accept_enabled(self, enabled: bool) -> None:
        """Start or pause accepting; the pause of a stopping worker is for good."""
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                self._accept_waiting(listener)
                listener.close()

    def _accept_waiting(self, listener: Any) -> None:
        """Take in what waits now; bounded, since under load more keeps coming."""
        for _ in range(self.cfg.threads):
            before = self.nr_conns
            self.accept(listener)
            if self.nr_conns == before:
                return

    def _give_back(self, conn: Any, done: "Future[Any]") -> None:
        """Return the connection to the main thread, as the stock worker does for its own pool."""
        self.method_queue.defer(self.finish_request, conn, done)

    def _part(self, conn: Any) -> None:
        """Say that no more will come, and wait for the client to close; RFC 9112 (9.6) says why."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:  # the client has left already
            self.nr_conns -= 1
            conn.close()
            return
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + _PARTING_SECONDS
        self.parting.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._drain, conn))

    def _drain(self, conn: Any, peer: socket.socket) -> None:
        """Read what a parting client still sends, up to its end."""
        try:
            ended = not peer.recv(_DRAINED)
        except BlockingIOError:
            return
        except OSError:
            ended = True
        if ended:
            self._close_parted(conn)

    def _close_parted(self, conn: Any) -> None:
        self.parting.remove(conn)
        self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

    def _wait_or_close(self, conn: Any, gone: bool) -> None:
        """Let the poller watch a connection that has not said anything yet; close one that is gone.

        Queued behind the held threads, each probe that has hung up would take up a connection.
        """
        if gone:
            self.nr_conns -= 1
            conn.close()
            return
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + _SILENCE_SECONDS
        self.pending_conns.append(conn)
        callback = partial(self.on_pending_socket_readable, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, callback)


def _make_threads(pool: ThreadPoolExecutor, number: int) -> None:
    """Let a pool make all its threads: one for each piece of work that none is idle for."""
    begin = threading.Barrier(number)
    for _ in range(number):
        pool.submit(begin.wait)


def _was_last(done: "Future[Any]") -> bool:
    """Tell whether a connection is to be closed after this request."""
    return not done.cancelled() and done.exception() is None and done.result() is False


def _read_ahead(conn: Any) -> bytes:
    """Return what was read together with the request before (pipelining): no poller tells of it."""
    if conn.parser is None:
        return b""
    ahead: bytes = conn.parser.unreader.buf.getvalue()
    return ahead


def _peek(peer: socket.socket) -> bytes | None:
    """Return the first bytes that wait to be read: None for none yet, b"" where the client left."""
    try:
        return peer.recv(_PEEKED, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""
