"""A connection, and what is being awaited on it."""

import socket
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from gunicorn import http
from gunicorn.workers.gthread import TConn

from app.web.gunicorn_worker.client_socket import ClientSocket, Patience
from app.web.gunicorn_worker.deadlines import Transfer
from app.web.gunicorn_worker.framing import Framing


class State(StrEnum):
    """What a connection is doing."""

    IDLE = "idle"
    """Nothing of a request has come."""
    RECEIVING = "receiving"
    """A part of a request has come."""
    QUEUED = "queued"
    """Its request waits for a thread."""
    SERVING = "serving"
    """A thread has its request, or it is a WebSocket."""
    SENDING = "sending"
    """Its answer is ready, and its client takes it."""
    CLOSING = "closing"
    """Its last answer is sent; the client is to hang up."""
    CLOSED = "closed"


class Connection(TConn):
    """A client's connection as gunicorn knows it, with what the main loop notes of it.

    Attributes: state, group (where the main loop keeps it), since (when its request began to come),
    expires (when patience ends), late (for how long its first bytes had waited), keep (whether it
    stays after this answer), framing (of its request), receipt (how the body moves along; None
    before it does), pool (the threads that have its request; None where none have), tls,
    handshaking (whether TLS is being agreed on), descriptor, watched (the events that the selector
    looks for), on_event (what it then calls). Moments are of time.perf_counter().
    """

    sock: ClientSocket
    parser: Any

    def __init__(
        self, cfg: Any, peer: socket.socket, address: Any, server: Any, patience: Patience
    ) -> None:
        super().__init__(cfg, ClientSocket(peer, patience), address, server)
        self.data_ready = True  # gunicorn is not to wait for it in a thread
        self.state = State.IDLE
        self.group: dict[Connection, None] | None = None
        self.since = self.expires = self.late = 0.0
        self.keep = False
        self.tls = self.handshaking = bool(cfg.is_ssl)
        self.descriptor = peer.fileno()
        self.watched = 0
        self.on_event: Callable[[Any], None]
        self.pool: Any = None
        self.await_request()

    def await_request(self) -> None:
        """Be ready for a request; what the parser read ahead belongs to it."""
        self.framing = Framing(self.cfg.limit_request_line)
        self.receipt: Transfer | None = None
        if self.parser is not None:
            self.sock.inbox[:0] = self.parser.unreader.take_buffered()

    def fill(self) -> int:
        """Read what has come. Returns: the number of bytes, 0 for none yet, -1 at the end."""
        came = self.sock.fill()
        # What TLS has read already the selector does not tell of.
        while self.tls and came > 0 and self.sock.peer.pending():  # type: ignore[attr-defined]
            self.sock.fill()
        return came

    def end_sending(self) -> None:
        """Tell the client that no more will come. Raises: OSError where it has left."""
        if self.tls:
            try:
                self.sock.unwrap()
            except (OSError, ValueError):
                pass  # it is said; the client's own goodbye is not waited for
        self.sock.peer.shutdown(socket.SHUT_WR)

    def init(self) -> None:
        """Have a parser; gunicorn calls this before each request."""
        if self.parser is None:
            self.initialized = True
            self.parser = http.get_parser(self.cfg, self.sock, self.client)

    def close(self, graceful: bool = False) -> None:
        """Close the real socket; for the main loop."""
        try:
            self.sock.peer.close()
        except OSError:
            return
