"""gunicorn's threaded worker, for clients of every kind.

**A thread serves a request, and never waits for one.** The stock worker gives a connection to a
thread as soon as there is something to read on it; a client that sends half a head, half a body, or
does not take its answer, holds that thread for as long as it likes. Here the main loop reads until
a request is whole and sends on what a client has not taken yet (`polling`), within deadlines. What
is too large for that gets a thread; how many of those wait for a body the application says, and of
all others that wait for clients there are as many as a quarter of the threads.

**Probes and scrapes are never starved.** What asks for /health while every request thread is held
is served by a few threads of its own. For that it must be accepted: where there is no room for a
connection, one that is idle gives way.

**No descriptor is taken that something else needs.** Fewer connections are accepted where the limit
of the process is low; a full table of descriptors ends connections, not the worker.

**What is refused is told, logged and counted as every other request** (`refusals`).

**A stopping worker closes its copy of the listening socket.** The stock worker only looks away from
it while it finishes its requests. As long as any copy is open the kernel goes on taking
connections for a server that will never read them; they hang until the last worker is gone and are
then reset. Here those that wait already are served, and new ones are refused at once (or, on a
reload, go to the new workers), so that a client or a proxy can turn elsewhere.

**A connection that was a WebSocket serves no further request.** The stock worker would read the
next one from it.

**What lasts long hears of the end at once.** The stock worker only changes `alive`, which hundreds
of threads would have to look at again and again.

**All threads are there from the beginning.** The stock worker makes them one by one, as more come
to wait, and never ends one: after the first rush a healthy worker looks as if it leaked threads.
"""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from time import perf_counter
from typing import Any, Protocol

from gunicorn import util
from gunicorn.sock import ssl_context
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from app.core.errors import MalformedRequestError, VibeBoxError
from app.web.gunicorn_worker import descriptors
from app.web.gunicorn_worker.accepting import accept, lateness, secured, waiting
from app.web.gunicorn_worker.balance import Load
from app.web.gunicorn_worker.chunks import ClientChunks
from app.web.gunicorn_worker.client_socket import ClientSocket, Patience
from app.web.gunicorn_worker.connection import Connection, State
from app.web.gunicorn_worker.deadlines import Deadlines
from app.web.gunicorn_worker.framing import Stage, request_line
from app.web.gunicorn_worker.polling import ConnectionPoller
from app.web.gunicorn_worker.refusals import refusal
from app.web.gunicorn_worker.threads import RequestThreads

RESERVED_CONNECTIONS = 32
"""Connections beyond `worker_connections`, to look whether they are probes."""
_ACCEPTED_AT_ONCE = 64
_CROWD = 16
"""Connections that wait in the kernel's queue, from which on a worker takes several at once."""
_SCARCE_SECONDS = 5.0
_SPOKEN = (1, 1)
# A stopping worker looks this often whether it may end, a full one whether somebody can give way.
_STOPPING_SECONDS = 0.25
_FULL_SECONDS = 0.05
_log = logging.getLogger(__name__)


class Refusals(Protocol):
    """Who answers what the application is not asked: see `app.web.refusals`."""

    def answer(self, error: VibeBoxError, method: str, path: str, seen_as: str | None) -> bytes:
        """Return the whole response; `seen_as`: the id under which it is counted already."""


class Worker(ThreadWorker):
    """The worker class of `gunicorn.conf.py`.

    Attributes, to be set before `run`: deadlines (towards clients), refusals (None: gunicorn's own
    page), load (among the workers that share the listening socket; None: it takes all that it
    gets), websockets (how many the application admits).
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._stopping: list[Callable[[], None]] = []
        super().__init__(*arguments, **named)
        self.deadlines = Deadlines()
        self.refusals: Refusals | None = None
        self.load: Load | None = None
        self.websockets = self.limit = 0
        self._scarce_until = 0.0

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

    # --- what telemetry reads, in a thread of its own ---------------------------------------------

    def busy_threads(self) -> tuple[int, int]:
        """Return how many request threads are held, and how many there are."""
        return self.threads.busy()

    def queued_requests(self) -> int:
        """Return how many requests wait in this worker for a thread."""
        return self.threads.queued()

    def oldest_request(self) -> float:
        """Return for how many seconds a thread has had the oldest request that is not to last."""
        return self.threads.oldest()

    def connections(self) -> tuple[dict[State, int], int]:
        """Return how many connections there are in each state, and how many there may be."""
        served = {State.QUEUED: self.threads.queued(), State.SERVING: self.threads.serving()}
        return {**self.poll.counts(), **served}, self.limit

    # --- the main loop ----------------------------------------------------------------------------

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse what this worker does not speak; gunicorn calls this at its start."""
        if cfg.protocol != "http" or "h2" in cfg.http_protocols:
            raise SystemExit(
                "VibeBox cannot start: its workers speak HTTP/1.1 only; leave --protocol and "
                "--http-protocols as they are, and have a proxy speak the rest."
            )

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """Make the threads; gunicorn calls this early."""
        self.threads = RequestThreads(self.cfg.threads, self.handle, self._give_back, self._freed)
        return self.threads.requests

    def load_wsgi(self) -> None:
        """Load the application, and prepare for its clients; gunicorn calls this in the worker."""
        super().load_wsgi()
        self._tls = ssl_context(self.cfg) if self.cfg.is_ssl else None
        self.poll = ConnectionPoller(self.poller, self, float(self.cfg.keepalive))

    def run(self) -> None:
        """Serve, to the end of the process."""
        self.limit = self.worker_connections = min(
            self.cfg.worker_connections + RESERVED_CONNECTIONS,
            descriptors.room(self.cfg.threads, self.websockets),
        )
        self.poll.deadlines = self.deadlines
        self._patience = Patience(self.deadlines, self.threads.places)
        self.threads.start()
        super().run()

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for events and do what is due; what fails is logged, and the loop goes on."""
        if not self.alive:
            timeout = _STOPPING_SECONDS
        elif self.nr_conns >= self.worker_connections:
            timeout = _FULL_SECONDS
        for key, _ in self.poller.select(timeout):
            try:
                key.data(key.fileobj)
            except Exception:
                _log.exception("main loop: an event could not be handled")

    def murder_pending(self) -> None:
        """End what takes too long; gunicorn calls this in each turn."""
        self.poll.sweep()
        self._keep_room()
        self._tell_load()
        if self.worker_connections < self.limit and perf_counter() >= self._scarce_until:
            self.worker_connections = self.limit

    def murder_keepalived(self, force: bool = False) -> None:
        """Close what is left at the end."""
        if force:
            self.poll.close_all()

    def _cap_keepalive(self, _deadline: float) -> None:
        """Wait no longer for requests that may never come: the worker stops."""
        self.poll.stop(STOP_KEEPALIVE_LINGER)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Start or pause accepting; the pause of a stopping worker is for good."""
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                for _ in range(self.cfg.threads):  # bounded, since under load more keeps coming
                    if self._accept(listener) is None:
                        break
                listener.close()
            if self.load is not None:
                self.load.leave()

    def accept(self, listener: Any) -> None:
        """Take in one connection, if no other worker is less busy; several out of a crowd."""
        if self.load is not None and waiting(listener) < _CROWD:
            self.load.give_way()
        for _ in range(_ACCEPTED_AT_ONCE):
            if self._accept(listener) is None or waiting(listener) < _CROWD:
                return

    def _accept(self, listener: Any) -> Connection | None:
        if self.nr_conns >= self.worker_connections:
            return None
        try:
            accepted = accept(listener, self.deadlines.stall)
        except OSError as error:
            self._spare_descriptors(error)
            return None
        if accepted is None:
            return None
        peer, address = accepted
        late = lateness(peer)
        if self._tls is not None:
            peer = secured(peer, self._tls)
        server = listener.getsockname()
        connection = Connection(self.cfg, peer, address, server, self._patience)
        self.nr_conns += 1
        self.poll.add(connection, late)
        self._keep_room()
        self._tell_load()
        return connection

    def _tell_load(self) -> None:
        if self.load is not None and self.alive:
            self.load.tell(self.threads.held(), self.nr_conns)

    def _keep_room(self) -> None:
        """Have room for one more, a probe perhaps, if anybody can give way."""
        if self.nr_conns >= self.worker_connections:
            self.poll.make_room()

    def _spare_descriptors(self, error: OSError) -> None:
        """Take no more connections than there are, for a while: there are no descriptors left."""
        now = perf_counter()
        if now >= self._scarce_until:  # told once, however often it is tried meanwhile
            extra = {"why": str(error), "connections": self.nr_conns}
            _log.warning("accepting pauses: no connection can be had", extra=extra)
        self.worker_connections = max(1, self.nr_conns)
        self._scarce_until = now + _SCARCE_SECONDS
        self.poll.make_room()

    # --- requests ---------------------------------------------------------------------------------

    def dispatch(self, connection: Connection, stage: Stage) -> None:
        """Have a thread serve a request; the poller calls this."""
        self.threads.dispatch(connection, stage)

    def closed(self, _connection: Connection) -> None:
        """Count a connection that is closed; the poller calls this."""
        self.nr_conns -= 1

    def refuse(self, connection: Connection, error: VibeBoxError) -> None:
        """Answer what is no request; the poller calls this."""
        method, path = request_line(connection.sock.inbox)
        connection.sock.inbox.clear()
        self._answer_refusal(connection.sock, error, method, path)

    def handle(self, connection: Connection) -> Any:
        """Serve a request, in a thread. Returns: whether its connection stays."""
        connection.sock.request.started = perf_counter()
        connection.state = State.SERVING
        return super().handle(connection)

    def handle_request(self, req: Any, conn: Connection) -> bool:
        """Serve a request whose head is parsed. Raises: MalformedRequestError without a Host."""
        req.version = min(req.version, _SPOKEN)  # RFC 9110, 2.5: answered with what is spoken here
        if req.version == _SPOKEN and not any(name == "HOST" for name, _ in req.headers):
            raise MalformedRequestError(
                "Name the host that is asked for in a Host header, as RFC 9112, 3.2 has it."
            )
        framing = conn.framing
        if framing.upgrade:  # a WebSocket is the last of its connection
            req.force_close()
        if framing.chunked:
            req.body.reader = ClientChunks(req.body.reader)
        # Whoever waits for 100 Continue got it from the poller, but for bodies that it left alone.
        req._expected_100_continue &= conn.sock.request.large
        keep: bool = super().handle_request(req, conn)
        return keep

    def handle_error(self, req: Any, client: ClientSocket, addr: Any, exc: BaseException) -> None:
        """Answer what could not be served: a mistake of the client, or a failure of ours."""
        error = refusal(exc)
        if error is None:
            _log.error("request failed in the server", exc_info=exc)
            error = VibeBoxError()
        if client.request.begun:
            return  # half an answer is sent: no more can be said
        method, path = request_line(client.head)
        self._answer_refusal(client, error, method, path)

    def finish_request(self, conn: Connection, fs: "Future[Any]") -> None:
        """Take back a connection from a thread, in the main thread."""
        self.threads.finished(conn)
        keep = not fs.cancelled() and fs.exception() is None and fs.result() is True
        self.poll.returned(conn, keep=keep)

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        """Tell whether the connection can serve another request; nothing is waited for."""
        if not keepalive:
            return False
        conn.sock.finish()
        try:
            return bool(conn.parser.finish_body())
        except Exception:  # the rest of the body is none: where the next request begins is unknown
            return False

    def _give_back(self, connection: Connection, served: "Future[Any]") -> None:
        """Return the connection to the main thread; called in the thread that has served it."""
        self.method_queue.defer(self.finish_request, connection, served)

    def _freed(self, connection: Connection) -> None:
        """Tell the main thread that a request has become a WebSocket; called in its thread."""
        self.method_queue.defer(self.threads.free, connection)

    def _answer_refusal(
        self, client: ClientSocket, error: VibeBoxError, method: str, path: str
    ) -> None:
        seen_as = client.request.request_id if client.request.seen else None
        try:
            if self.refusals is None:
                phrase = HTTPStatus(error.status).phrase
                util.write_error(client, error.status, phrase, error.detail)
            else:
                client.sendall(self.refusals.answer(error, method, path, seen_as))
        except OSError:
            return  # whoever sent it is gone
