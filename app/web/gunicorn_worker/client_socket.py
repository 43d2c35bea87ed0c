"""The connection to a client, as the parser, the response and the application see it.

gunicorn reads and writes a blocking socket. This one does not block, and waits in its place:

* What the main loop has read already is handed out first. Only a body that is too large for the
  main loop to await has to be waited for in a thread.
* What a client does not take at once of an answer is kept. The thread goes on to another request,
  and the main loop sends the rest. A thread waits only where an answer comes in pieces, and many
  of them are kept already.
* Whoever waits in a thread takes one of a few places, so that clients never hold all threads, and
  waits within the deadlines.

It is never used by a thread and the main loop at the same time: they hand it to each other.
"""

import errno
import fcntl
import select
import socket
import ssl
import struct
import termios
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, BinaryIO

from app.core import signals
from app.core.errors import IncompleteBodyError, RequestTimeoutError
from app.web.gunicorn_worker.deadlines import Deadlines, Transfer
from app.web.gunicorn_worker.served import ServedRequest

MOST_PENDING = 2 * 1024 * 1024
"""Bytes of an answer in pieces that are kept for its client; a piece alone may have any size."""
_READ_AT_ONCE = 16 * 1024
_LOOK_SECONDS = 1.0
# The end of a body in chunks: nobody waits with that.
_SMALL = 16
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


@dataclass(frozen=True)
class Patience:
    """What there is for clients that have to be waited for.

    Attributes: deadlines, places (of threads that may wait for a client).
    """

    deadlines: Deadlines
    places: threading.Semaphore


class ClientSocket:
    """A socket to a client; what is not named here is the real socket's.

    Attributes: peer (the real socket), inbox (bytes that were read and not handed out), pending
    (bytes of answers that are kept), request (the one being served), head (what it begins with),
    lost (whether nothing can be sent any more).
    """

    def __init__(self, peer: socket.socket, patience: Patience) -> None:
        """Take over a connected socket."""
        peer.setblocking(False)
        self.peer = peer
        self.inbox = bytearray()
        self.pending = 0
        self.lost = False
        self._deadlines = patience.deadlines
        self._places = patience.places
        self._outbox: deque[memoryview] = deque()
        self._written = self._written_before = 0
        self._delivery: Transfer | None = None
        self.begin(ServedRequest(0.0))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.peer, name)

    def begin(self, request: ServedRequest) -> None:
        """Serve this request from now on."""
        self.request = request
        self._receipt = Transfer()
        self._received = 0
        self._final = False
        self.head = b""

    def finish(self) -> None:
        """Wait for nothing more of this request: it is answered."""
        self._final = True
        self.head = b""

    def fill(self) -> int:
        """Read what has come. Returns: the number of bytes, 0 for none yet, -1 at the end."""
        try:
            data = self.peer.recv(_READ_AT_ONCE)
        except _NOT_NOW:
            return 0
        except OSError:
            return -1
        if not data:
            return -1
        self.inbox += data
        return len(data)

    def flush(self) -> bool:
        """Send on what is kept, as far as it goes now. Returns: whether nothing is left.

        Raises: BrokenPipeError where the client is gone.
        """
        while self._outbox:
            first = self._outbox[0]
            sent = self._send(first)
            self.pending -= sent
            if not sent:
                return False
            if sent < len(first):
                self._outbox[0] = first[sent:]
            else:
                self._outbox.popleft()
        self._end_delivery()
        return True

    @property
    def taken_at(self) -> float:
        """When the client last took something of what is kept."""
        return self._delivery.moved_at if self._delivery is not None else 0.0

    def patience_ends_at(self, now: float) -> float:
        """Return when the client has been too slow to take what is kept, if it takes no more.

        What the kernel has taken is not with the client yet: it may be megabytes, for minutes.
        """
        if self._delivery is None:
            return now + self._deadlines.stall
        self._delivery.move(now, self._written - self._written_before - _unsent(self.peer))
        return self._delivery.ends_at(self._deadlines)

    def drop(self) -> None:
        """Give up what is kept: the client is gone, or was too slow."""
        self.lost = True
        self._outbox.clear()
        self.pending = 0
        self._end_delivery()

    # What follows is for gunicorn and the application.

    def recv(self, size: int, _flags: int = 0) -> bytes:
        """Return bytes of the request, and wait for them where there are none.

        Raises: RequestTimeoutError, IncompleteBodyError; TimeoutError once it is answered.
        """
        if not self.inbox:
            return self._receive(size)
        data = bytes(self.inbox[:size])
        del self.inbox[:size]
        if not self.head:
            self.head = data
        return data

    def sendall(self, data: bytes, _flags: int = 0) -> None:
        """Send, and keep what cannot be sent now. Raises: BrokenPipeError."""
        if self.lost:
            raise _gone()
        self.request.begun = True
        sent = 0
        if self._outbox:
            self._make_way(len(data))
        if not self._outbox:
            sent = self._send(data) if data else 0
            if sent == len(data):
                return
            self._begin_delivery(sent)
        self._outbox.append(memoryview(data)[sent:])
        self.pending += len(data) - sent

    def send(self, data: bytes, _flags: int = 0) -> int:
        """Send as `sendall` does. Returns: the number of bytes."""
        self.sendall(data)
        return len(data)

    def sendfile(self, file: BinaryIO, offset: int = 0, count: int | None = None) -> int:
        """Send `count` bytes of a file, or all of it. Returns: their number."""
        file.seek(offset)
        sent = 0
        while count is None or sent < count:
            wanted = _READ_AT_ONCE if count is None else min(_READ_AT_ONCE, count - sent)
            data = file.read(wanted)
            if not data:
                break
            sent += self.send(data)
        return sent

    def setblocking(self, _flag: bool) -> None:
        """Stay as it is: see the module."""

    def settimeout(self, _seconds: float | None) -> None:
        """Stay as it is."""

    def gettimeout(self) -> float:
        """Return 0: it does not block."""
        return 0.0

    def shutdown(self, _how: int) -> None:
        """Leave it to the main loop, which sends what is kept first."""
        self.finish()

    def close(self) -> None:
        """Leave it to the main loop, which watches the descriptor."""
        self.finish()

    def _receive(self, size: int) -> bytes:
        while not self._final:
            try:
                data = self.peer.recv(size)
            except _NOT_NOW:
                self._await_bytes()
                continue
            except OSError as error:
                raise IncompleteBodyError from error
            if not data:
                raise IncompleteBodyError
            self._received += len(data)
            self._receipt.move(perf_counter(), self._received)
            return data
        raise TimeoutError("this request is answered")

    def _await_bytes(self) -> None:
        """Wait until there is something to read. Raises: RequestTimeoutError, or as `check`."""
        receipt = self._receipt
        receipt.begin(perf_counter())
        try:
            came = self._wait(select.POLLIN, self._body_ends_at)
        finally:
            self.request.receiving += receipt.end(perf_counter())
        if not came:
            signals.emit(signals.client_cut_off, reason="body")
            raise RequestTimeoutError

    def _body_ends_at(self, _now: float) -> float:
        """Return when patience with the body ends; raises what ends it before."""
        if self.request.check is not None:
            self.request.check(self._received)
        receipt, deadlines = self._receipt, self._deadlines
        return min(receipt.ends_at(deadlines), receipt.began_at + deadlines.body)

    def _make_way(self, size: int) -> None:
        """Have the client take of what is kept until `size` more may be. Raises as sendall."""
        while not self.flush():
            now = perf_counter()
            in_time = now < self.patience_ends_at(now)
            if in_time and (self.pending <= MOST_PENDING or size <= _SMALL):
                return
            if not in_time or not self._wait(select.POLLOUT, self.patience_ends_at):
                signals.emit(signals.client_cut_off, reason="answer")
                self.drop()
                raise _gone()

    def _wait(self, events: int, ends_at: Callable[[float], float]) -> bool:
        """Wait for the client in this thread. Returns: false where it is too slow.

        It is too slow at once where too many threads wait for clients already; the application
        bounds the number of those that it checks.
        """
        request = self.request
        takes_place = request.check is None
        if takes_place and not self._places.acquire(blocking=False):
            return False
        poller = select.poll()
        poller.register(self.peer, events)
        now = begun = perf_counter()
        try:
            while (left := ends_at(now) - now) > 0:
                if poller.poll(min(left, _LOOK_SECONDS) * 1000):
                    return True
                now = perf_counter()
            return False
        finally:
            request.waited += perf_counter() - begun
            if takes_place:
                self._places.release()

    def _send(self, data: bytes | memoryview) -> int:
        """Send what goes at once. Raises: BrokenPipeError."""
        try:
            sent = self.peer.send(data)
        except _NOT_NOW:
            return 0
        except OSError as error:
            self.drop()
            raise _gone() from error
        self._written += sent
        return sent

    def _begin_delivery(self, sent: int) -> None:
        self._written_before = self._written - sent
        self._delivery = Transfer()
        self._delivery.begin(perf_counter())

    def _end_delivery(self) -> None:
        if self._delivery is not None:
            self.request.sending += self._delivery.end(perf_counter())
            self._delivery = None


def _gone() -> BrokenPipeError:
    return BrokenPipeError(errno.EPIPE, "the client is gone, or was cut off")


def _unsent(peer: socket.socket) -> int:
    """Return how many bytes the kernel holds that the client has not acknowledged.

    Of a Unix socket it is what they take of memory, which is more.
    """
    try:
        held = fcntl.ioctl(peer, termios.TIOCOUTQ, bytes(4))
    except (OSError, ValueError):
        return 0
    unsent: int = struct.unpack("i", held)[0]
    return unsent
