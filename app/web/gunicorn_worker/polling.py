"""What the main loop does for the connections that no thread serves.

It reads requests until they are whole, sends on what clients have not taken yet, and ends what
takes too long. Nothing here blocks.
"""

import logging
import selectors
import socket
import ssl
import struct
from functools import partial
from time import perf_counter
from typing import Any, Protocol

from app.core import signals
from app.core.errors import RequestTimeoutError, VibeBoxError
from app.web.gunicorn_worker.connection import Connection, State
from app.web.gunicorn_worker.deadlines import Deadlines, Transfer
from app.web.gunicorn_worker.framing import Stage
from app.web.gunicorn_worker.served import ServedRequest

CLOSING_SECONDS = 2.0
"""How long a client may take to hang up after the last answer."""
MOST_BUFFERED = 64 * 1024 * 1024
"""Bytes of unfinished requests, and as many of answers not taken, that a worker keeps."""
_SWEEP_SECONDS = 0.5
# Each costs an answer and a line in the log.
_ENDED_AT_ONCE = 50
# A client that says nothing for so long is not about to.
_LONG_SECONDS = 1.0
# Nobody has to be quicker than this.
_MOMENT_SECONDS = 0.1
_DRAINED = 64 * 1024
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_log = logging.getLogger(__name__)
_RESET = struct.pack("ii", 1, 0)
Group = dict[Connection, None]
"""Connections in the order in which they came to it."""


class Host(Protocol):
    """Who is told what becomes of connections."""

    def dispatch(self, connection: Connection, stage: Stage) -> None:
        """Have a thread serve the request, whose head is there."""

    def refuse(self, connection: Connection, error: VibeBoxError) -> None:
        """Give the socket the answer to what is no request."""

    def closed(self, connection: Connection) -> None:
        """Count a connection that is closed."""


class ConnectionPoller:
    """The connections that no thread serves; for the main thread only, but for `counts`.

    Attributes: deadlines (towards clients).
    """

    def __init__(self, selector: selectors.BaseSelector, host: Host, keepalive: float) -> None:
        self.deadlines = Deadlines()
        self._selector = selector
        self._host = host
        self._keepalive = keepalive
        # Those in `_fresh` have never said anything.
        self._fresh: Group = {}
        self._kept: Group = {}
        self._receiving: Group = {}
        self._sending: Group = {}
        self._closing: Group = {}
        self._sweep_at = 0.0

    def counts(self) -> dict[State, int]:
        """Return how many connections are in which state."""
        return {
            State.IDLE: len(self._fresh) + len(self._kept),
            State.RECEIVING: len(self._receiving),
            State.SENDING: len(self._sending),
            State.CLOSING: len(self._closing),
        }

    def add(self, connection: Connection, late: float = 0.0) -> None:
        """Take in a new connection, whose first bytes may have come `late` seconds ago."""
        connection.on_event = partial(self._on_event, connection)
        connection.late = late
        connection.on_event(None)
        if connection.state is State.IDLE:  # it has sent nothing yet
            connection.since = perf_counter()
            expires = connection.since + self.deadlines.head
            self._put(connection, State.IDLE, self._fresh, expires)

    def returned(self, connection: Connection, *, keep: bool) -> None:
        """Take back a connection whose request is answered; `keep`: for further ones."""
        connection.keep = keep
        connection.sock.finish()
        if connection.sock.pending:
            self._put(connection, State.SENDING, self._sending, 0.0)
        else:
            self._answered(connection)

    def sweep(self) -> None:
        """End what has taken too long, or takes too much; call it in each turn of the loop."""
        now = perf_counter()
        if now < self._sweep_at:
            return
        self._sweep_at = now + _SWEEP_SECONDS
        for group in (self._fresh, self._kept, self._closing):
            for connection in _expired(group, now):
                self.close(connection)
        late = [each for each in self._receiving if each.expires <= now]
        for connection in late[:_ENDED_AT_ONCE]:
            self._time_out(connection, "head" if connection.framing.in_head else "body")
        if len(late) > _ENDED_AT_ONCE:
            self._sweep_at = now  # the others in the next turn: requests come first
        for connection in list(self._sending):
            if connection.sock.patience_ends_at(now) <= now:
                self._cut_off(connection)
        while sum(len(each.sock.inbox) for each in self._receiving) > MOST_BUFFERED:
            self._time_out(next(iter(self._receiving)), "room")
        while sum(each.sock.pending for each in self._sending) > MOST_BUFFERED:
            self._cut_off(min(self._sending, key=lambda each: each.sock.taken_at))

    def make_room(self) -> bool:
        """End the connection that is missed least. Returns: whether there was one.

        Of those on which a client is waited for: who has kept us waiting for long, silent ones
        before those that served somebody; and where nobody has, who has done so for longest. Who
        has just come, or was just answered, has a moment to speak.
        """
        for connection in _first(self._closing):
            self.close(connection)
            return True
        now = perf_counter()
        waiting = [*_first(self._fresh), *_first(self._kept), *_first(self._receiving)]
        by_age = sorted(waiting, key=lambda each: each.since)
        for connection, seconds in (
            *((each, _LONG_SECONDS) for each in waiting),
            *((each, _MOMENT_SECONDS) for each in by_age),
        ):
            if now - connection.since >= seconds:
                self._give_way(connection)
                return True
        return False

    def stop(self, seconds: float) -> None:
        """Let connections on which nothing is under way last for so long at most, from now on."""
        self._keepalive = min(self._keepalive, seconds)
        latest = perf_counter() + seconds
        for connection in (*self._fresh, *self._kept):
            connection.expires = min(connection.expires, latest)

    def close_all(self) -> None:
        """Close every connection that no thread serves."""
        groups = (self._fresh, self._kept, self._receiving, self._sending, self._closing)
        for connection in [each for group in groups for each in group]:
            self.close(connection)

    def close(self, connection: Connection, *, reset: bool = False) -> None:
        """Close a connection; `reset`: the kernel is to forget what it has not sent yet."""
        if connection.state is State.CLOSED:
            return
        self._take(connection)
        connection.state = State.CLOSED
        if reset:
            try:
                connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            except OSError:
                pass  # it is gone already
        connection.close()
        self._host.closed(connection)

    # --- the steps of a connection ----------------------------------------------------------------

    def _on_event(self, connection: Connection, _fileobj: Any) -> None:
        """Do what is next; whatever goes wrong ends this connection and nothing else."""
        if connection.state is State.CLOSED:
            return  # it gave way to another one whose event came in the same turn
        try:
            if connection.state is State.SENDING:
                self._send_on(connection)
            elif connection.state is State.CLOSING:
                self._drain(connection)
            else:
                self._read(connection)
        except BrokenPipeError:
            self.close(connection)
        except Exception:
            _log.exception("a connection could not be looked after")
            self.close(connection)

    def _read(self, connection: Connection) -> None:
        now = perf_counter() - connection.late
        connection.late = 0.0
        if connection.handshaking and not self._shake_hands(connection):
            return
        came = connection.fill()
        if came < 0:
            self._ended(connection, now)
        elif came > 0:
            if connection.state is State.IDLE:
                connection.since = now
            self._advance(connection, now)

    def _ended(self, connection: Connection, now: float) -> None:
        """Close what its client has closed; the answer to a cut body is the application's."""
        if connection.state is State.IDLE or connection.framing.in_head:
            self.close(connection)
        else:
            self._hand_over(connection, Stage.WHOLE, now)

    def _advance(self, connection: Connection, now: float) -> None:
        """Look how far the request has come, and do what is next."""
        try:
            stage = connection.framing.look(connection.sock.inbox)
        except VibeBoxError as error:
            self._refuse(connection, error, now)
            return
        if stage is Stage.WHOLE or stage is Stage.LARGE:
            self._hand_over(connection, stage, now)
            return
        if connection.state is not State.RECEIVING:
            expires = now + self.deadlines.head
            self._put(connection, State.RECEIVING, self._receiving, expires)
        if stage is Stage.BODY:
            self._await_body(connection, now)

    def _await_body(self, connection: Connection, now: float) -> None:
        if connection.receipt is None:
            connection.receipt = Transfer()
            connection.receipt.begin(now)
            if connection.framing.expects:
                connection.sock.sendall(_CONTINUE)
        connection.receipt.move(now, len(connection.sock.inbox))
        connection.expires = connection.receipt.ends_at(self.deadlines)

    def _hand_over(self, connection: Connection, stage: Stage, now: float) -> None:
        self._begin(connection, now)
        self._take(connection)
        connection.state = State.QUEUED
        self._host.dispatch(connection, stage)

    def _refuse(self, connection: Connection, error: VibeBoxError, now: float) -> None:
        self._begin(connection, now)
        self._host.refuse(connection, error)
        self.returned(connection, keep=False)

    @staticmethod
    def _begin(connection: Connection, now: float) -> None:
        """Begin to serve: what went before was the client's time."""
        receiving = now - connection.since if connection.state is State.RECEIVING else 0.0
        connection.sock.begin(ServedRequest(now, receiving))

    def _give_way(self, connection: Connection) -> None:
        if connection.state is State.RECEIVING:
            self._time_out(connection, "room")
        else:
            signals.emit(signals.client_cut_off, reason="room")
        self.close(connection)

    def _time_out(self, connection: Connection, reason: str) -> None:
        signals.emit(signals.client_cut_off, reason=reason)
        self._refuse(connection, RequestTimeoutError(), perf_counter())

    def _send_on(self, connection: Connection) -> None:
        try:
            if connection.sock.flush():
                self._answered(connection)
        except BrokenPipeError:
            self._answered(connection)

    def _cut_off(self, connection: Connection) -> None:
        signals.emit(signals.client_cut_off, reason="answer")
        connection.sock.drop()
        _tell_waits(connection)
        self.close(connection, reset=True)

    def _answered(self, connection: Connection) -> None:
        """Go on with a connection whose answer is sent, or cannot be."""
        _tell_waits(connection)
        if connection.sock.lost:
            self.close(connection)
        elif connection.keep:
            self._await_next(connection)
        else:
            self._begin_closing(connection)

    def _await_next(self, connection: Connection) -> None:
        connection.since = now = perf_counter()
        connection.await_request()
        if connection.sock.inbox:
            connection.state = State.IDLE
            self._advance(connection, now)
            return
        self._put(connection, State.IDLE, self._kept, now + self._keepalive)
        if connection.tls:  # it may have read more than was asked for
            self._read(connection)

    def _begin_closing(self, connection: Connection) -> None:
        """Say that no more will come, and wait for the client to close; RFC 9112 (9.6) says why."""
        try:
            connection.end_sending()
        except OSError:  # the client has left already
            self.close(connection)
            return
        self._put(connection, State.CLOSING, self._closing, perf_counter() + CLOSING_SECONDS)

    def _drain(self, connection: Connection) -> None:
        """Read what a client still sends after the last answer, up to its end."""
        try:
            ended = not connection.sock.peer.recv(_DRAINED)
        except BlockingIOError:
            return
        except OSError:
            ended = True
        if ended:
            self.close(connection)

    def _shake_hands(self, connection: Connection) -> bool:
        """Go on with the handshake of TLS. Returns: whether it is done."""
        try:
            connection.sock.do_handshake()
        except ssl.SSLWantReadError:
            self._watch(connection, _READ)
            return False
        except ssl.SSLWantWriteError:
            self._watch(connection, _WRITE)
            return False
        except OSError:  # what it speaks is no TLS, or a version that nobody should
            self.close(connection)
            return False
        connection.handshaking = False
        self._watch(connection, _READ)
        return True

    # --- groups and selector ----------------------------------------------------------------------

    def _put(self, connection: Connection, state: State, group: Group, expires: float) -> None:
        if connection.group is not None:
            del connection.group[connection]
        group[connection] = None
        connection.group, connection.state, connection.expires = group, state, expires
        self._watch(connection, _WRITE if state is State.SENDING else _READ)

    def _take(self, connection: Connection) -> None:
        """Look no more after a connection."""
        if connection.group is not None:
            del connection.group[connection]
            connection.group = None
        self._watch(connection, 0)

    def _watch(self, connection: Connection, events: int) -> None:
        if events == connection.watched:
            return
        if not events:
            self._selector.unregister(connection.descriptor)
        elif connection.watched:
            self._selector.modify(connection.descriptor, events, connection.on_event)
        else:
            self._selector.register(connection.descriptor, events, connection.on_event)
        connection.watched = events


def _first(group: Group) -> tuple[Connection, ...]:
    return (next(iter(group)),) if group else ()


def _expired(group: Group, now: float) -> list[Connection]:
    """Return the connections of a group, which has one patience for all, that are due."""
    expired = []
    for connection in group:
        if connection.expires > now:
            break
        expired.append(connection)
    return expired


def _tell_waits(connection: Connection) -> None:
    """Tell how long the client kept its request, and its answer, waiting."""
    request = connection.sock.request
    for phase, seconds in (("receive", request.receiving), ("send", request.sending)):
        if seconds > 0:
            signals.emit(signals.client_waited, phase=phase, seconds=seconds)
    request.receiving = request.sending = 0.0
