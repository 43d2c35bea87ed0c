"""One WebSocket over a connected socket, driven by the one thread that serves it.

The protocol is `websockets`' sans-I/O one; reading, writing and waiting happen here, with `poll()`,
so that a thread can watch its WebSocket and something else (a terminal) at the same time. A thread
whose WebSocket is silent sleeps until the next sign of life is due: a worker that drains wakes all
of them with one wakeup. Nothing grows without bound: see the constants.
"""

import select
import socket
import time
import typing
from collections import deque
from collections.abc import Callable, Mapping
from math import inf

from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.protocol import SERVER, Protocol, State

from app.web.websockets.assembly import LARGEST_MESSAGE, QUIET, Assembly, Message
from app.web.websockets.closing import AWAY, closing
from app.web.websockets.wakeup import Wakeup

# Bytes that may wait for the peer. A larger bound costs memory for each slow reader.
MOST_PENDING = 1024 * 1024
# Whoever has more to send waits below this, so that only what cannot wait meets the bound.
ENOUGH_PENDING = 256 * 1024

# Seconds between two signs of life; a peer that gives none for twice as long is dead. Proxies often
# close what is silent for 60 s. A reader that takes nothing for `STALLED` seconds is cut off.
PING = 20.0
STALLED = 20.0

# How long a peer may take to answer our close: below the two seconds within which a draining worker
# has closed every socket.
CLOSE_TIMEOUT = 1.0

# Seconds by which `hold` puts off the end of a channel whose worker drains: below the patience that
# the worker has for its requests (VIBEBOX_GRACEFUL_TIMEOUT).
LONGEST_HOLD = 25.0

_CHUNK = 64 * 1024
_READABLE = select.POLLIN | select.POLLHUP | select.POLLERR | select.POLLNVAL


def _ignore(_direction: str) -> None:
    """Count nothing."""


class Watched(typing.Protocol):
    """What the peer has to be allowed for as long as it stays: `app.web.admission.held.Held`."""

    @property
    def wakeup(self) -> Wakeup:
        """Set when it is not allowed any more."""

    @property
    def error(self) -> Exception | None:
        """Why not; None while it is."""


def _give_up_on_silence(peer: socket.socket) -> None:
    """Have the kernel end a connection whose peer acknowledges nothing of what it is sent."""
    if peer.family in (socket.AF_INET, socket.AF_INET6):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(2000 * PING))


class Channel:
    """The server's end of an open WebSocket.

    Call `run_once` again and again while it is `open`, and `finish` at the end. `shutdown_signal`
    is set when the process is about to end; while `hold` is set the channel goes on nevertheless,
    for `LONGEST_HOLD` seconds at most. What is `held` tells when the peer may not have it any more.
    `count` hears the direction ("in", "out") of each message. The socket stays the caller's to
    close.
    """

    def __init__(
        self,
        peer: socket.socket,
        shutdown_signal: Wakeup,
        count: Callable[[str], None] = _ignore,
        *,
        held: Watched | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        peer.setblocking(False)
        _give_up_on_silence(peer)
        self.hold = False
        self._peer = peer
        self._shutdown_signal = shutdown_signal
        self._held = held
        self._count = count
        self._clock = clock
        self._protocol = Protocol(SERVER, max_size=LARGEST_MESSAGE, logger=QUIET)
        self._assembly = Assembly()
        self._inbox: deque[Message] = deque()
        self._outbox: deque[bytes] = deque()
        self._begun = 0  # bytes of the first frame that are sent already
        self._pending = 0
        self._eof = False
        self._lost = False
        self._heard_at = self._pinged_at = self._moved_at = clock()
        self._held_until: float | None = None

    @property
    def open(self) -> bool:
        """Whether messages can be sent and received."""
        return not self._lost and self._protocol.state is State.OPEN

    @property
    def over(self) -> bool:
        """Whether there is nothing left to do: the peer has our last word, or is gone."""
        return self._lost or self._eof or self._protocol.state is State.CLOSED

    @property
    def room(self) -> bool:
        """Whether the peer keeps up, so that more may be sent."""
        return self._pending < ENOUGH_PENDING

    @property
    def pending(self) -> int:
        """Bytes that wait for the peer to take them."""
        return self._pending

    @property
    def ending(self) -> tuple[int, str]:
        """How it ended: code and reason, 1006 where nobody said."""
        said: Close | None = self._protocol.close_sent or self._protocol.close_rcvd
        return (CloseCode.ABNORMAL_CLOSURE, "") if said is None else (said.code, said.reason)

    def received(self) -> list[Message]:
        """Take the messages that have come since the last call."""
        messages = list(self._inbox)
        self._inbox.clear()
        return messages

    def send(self, message: Message) -> None:
        """Have a message sent, at once as far as it goes; too much of it ends the channel."""
        if not self.open:
            return
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)
        self._count("out")
        self._queue()
        self._flush()
        if self._pending > MOST_PENDING:
            self._cut_off()

    def close(self, code: int, reason: str = "") -> None:
        """Say that it is over; a channel that is closing already stays as it is."""
        if self.open:
            # A reason has 123 bytes at most (RFC 6455, 5.5).
            self._protocol.send_close(code, reason.encode()[:123].decode(errors="ignore"))
            self._queue()

    def run_once(
        self, seconds: float = inf, watched: Mapping[int, int] | None = None, *, read: bool = True
    ) -> dict[int, int]:
        """Wait for something to happen, for `seconds` at most, and do what is due.

        `watched` are other descriptors with the events of `poll()` to wait for; those that came
        are returned. Without `read` the peer's messages wait, and its silence proves nothing. The
        turn ends as soon as there is room again, for nothing else may happen then.
        """
        full = not self.room
        wakeups = self._heed()
        self._keep_alive(read)
        self._flush()
        if not self.open or (full and self.room):
            return {}
        ready = self._poll(min(seconds, self._quiet()), {**(watched or {}), **wakeups}, read)
        for wakeup in wakeups:
            ready.pop(wakeup, 0)
        events = ready.pop(self._peer.fileno(), 0)
        if events & _READABLE:
            self._read()
        self._flush()
        return ready

    def wait_for_room(self) -> None:
        """Take turns until the peer keeps up, or the channel closes because it does not."""
        while self.open and not self.room:
            self.run_once()
            self._inbox.clear()

    def finish(self) -> None:
        """Close in good order, for as long as a farewell may take."""
        self.close(CloseCode.NORMAL_CLOSURE)
        ends_at = self._clock() + CLOSE_TIMEOUT
        while not self.over and self._clock() < ends_at:
            self._flush()
            events = self._poll(ends_at - self._clock(), {}, True)
            if events and not self.over:
                self._read() if events[self._peer.fileno()] & _READABLE else self._flush()
            self._inbox.clear()

    def _poll(self, seconds: float, watched: dict[int, int], read: bool) -> dict[int, int]:
        poller = select.poll()
        wanted = (select.POLLIN if read else 0) | (select.POLLOUT if self._outbox else 0)
        poller.register(self._peer, wanted)
        for descriptor, events in watched.items():
            poller.register(descriptor, events)
        return dict(poller.poll(max(0.0, seconds) * 1000))

    def _read(self) -> None:
        try:
            data = self._peer.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self._lost = True
            return
        self._heard_at = self._clock()
        if not data:
            self._protocol.receive_eof()
            self._lost = True
            return
        self._protocol.receive_data(data)
        for frame in self._protocol.events_received():
            # Nothing but frames comes after the handshake.
            if isinstance(frame, Frame) and frame.opcode is not Opcode.CLOSE:
                self._take(frame)
        self._queue()

    def _take(self, frame: Frame) -> None:
        try:
            message = self._assembly.feed(frame)
        except UnicodeDecodeError:
            self._protocol.fail(CloseCode.INVALID_DATA, "text messages are UTF-8")
            return
        if message is not None:
            self._count("in")
            self._inbox.append(message)

    def _heed(self) -> dict[int, int]:
        """Close where the peer may not stay, or the process ends; return what to listen to."""
        wakeups = {}
        if self._held is not None:
            if self._held.error is not None:
                self.close(*closing(self._held.error))
            wakeups[self._held.wakeup.fileno()] = _READABLE
        if not self._shutdown_signal.is_set:
            wakeups[self._shutdown_signal.fileno()] = _READABLE
        elif not self._holds():
            self.close(CloseCode.GOING_AWAY, AWAY)
        return wakeups

    def _holds(self) -> bool:
        """Tell whether a channel that is to end goes on for now."""
        if self._held_until is None:
            self._held_until = self._clock() + LONGEST_HOLD
        return self.hold and self._clock() < self._held_until

    def _keep_alive(self, read: bool) -> None:
        now = self._clock()
        if self._outbox and now - self._moved_at >= STALLED:
            self._cut_off()
        if not read:
            # A sign of life may wait behind what is not read; the kernel tells who is gone.
            self._heard_at = now
            if self.open and now - self._pinged_at >= PING:
                self._ping(now)
        elif now - self._heard_at >= 2 * PING:
            self._lost = True
        elif self.open and now - max(self._heard_at, self._pinged_at) >= PING:
            self._ping(now)

    def _ping(self, now: float) -> None:
        self._pinged_at = now
        self._protocol.send_ping(b"")
        self._queue()

    def _quiet(self) -> float:
        """Return for how long nothing has to be done if nothing happens."""
        due = [max(self._heard_at, self._pinged_at) + PING, self._heard_at + 2 * PING]
        if self._outbox:
            due.append(self._moved_at + STALLED)
        if self._held_until is not None:
            due.append(self._held_until)
        return min(due) - self._clock()

    def _cut_off(self) -> None:
        """End a channel whose peer is too slow: what it did not take is dropped, but one frame.

        The beginning of that one is sent already.
        """
        if not self.open:
            self._lost = True
            return
        while len(self._outbox) > (1 if self._begun else 0):
            self._pending -= len(self._outbox.pop())
        self._protocol.fail(CloseCode.POLICY_VIOLATION, "too slow")
        self._queue()

    def _queue(self) -> None:
        """Take over what the protocol wants sent; an empty piece is the end of the stream."""
        if not self._outbox:
            self._moved_at = self._clock()
        for data in self._protocol.data_to_send():
            self._outbox.append(data)
            self._pending += len(data)

    def _flush(self) -> None:
        """Send what the peer takes now."""
        while self._outbox and not self._lost and not self._eof:
            first = self._outbox[0]
            try:
                if not first:
                    self._eof = True
                    self._peer.shutdown(socket.SHUT_WR)
                    return
                sent = self._peer.send(memoryview(first)[self._begun :])
            except BlockingIOError:
                return
            except OSError:
                self._lost = True
                return
            self._moved_at = self._clock()
            self._pending -= sent
            self._begun += sent
            if self._begun == len(first):
                self._outbox.popleft()
                self._begun = 0
