"""A proxy between a client and a service that acts out the faults of networks."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from tests.backends.programs import ServiceError, free_port

Address = str | tuple[str, int]
"""Path of a Unix socket, or host and port."""

# Longest time until a thread notices that its connection or the proxy was ended. Data never waits.
TICK = 0.05
CONNECT_TIMEOUT = 5.0
_CHUNK = 65536
_REMEMBERED = 4096
"""How much of what a client sent last is known of each connection."""


class FaultProxy:
    """Forwards connections to `target` until told to misbehave.

    Attributes:
        latency: seconds that each chunk of data waits, in either direction.
        black_hole: connections are accepted and stay open, data stays in the proxy. What was held
            back is delivered when the hole closes, as after a network that was down for a while.
        hole_for: connections on which the client has sent these bytes (the path of a request, say)
            are a black hole, others work.
        cut_after: end a connection once the service has answered that many bytes on it.

    `reset` breaks the open connections, `down` refuses new ones as well, `up` undoes that. Settings
    may be changed at any time and hold for open connections too.
    """

    def __init__(self, target: Address, listen: Address | None = None) -> None:
        self.target = target
        self.address: Address = listen or ("127.0.0.1", free_port())
        self.latency = 0.0
        self.black_hole = False
        self.hole_for: bytes | None = None
        self.cut_after: int | None = None
        self._links: set[_Link] = set()
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self.up()

    @property
    def url(self) -> str:
        """The address as DOCKER_HOST has it: unix:///path or tcp://host:port."""
        if isinstance(self.address, str):
            return f"unix://{self.address}"
        return f"tcp://{self.address[0]}:{self.address[1]}"

    @property
    def port(self) -> int:
        """The port to connect to, when the proxy listens on TCP."""
        if isinstance(self.address, str):
            raise ServiceError(f"the proxy listens on {self.address}, not on a port")
        return self.address[1]

    def up(self) -> None:
        """Accept connections; harmless when the proxy does."""
        if self._listener is not None:
            return
        listener = _socket_for(self.address)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(self.address)
        listener.listen(128)
        listener.settimeout(TICK)
        self._listener = listener
        self._acceptor = threading.Thread(
            target=self._accept, args=(listener,), name="fault-proxy-accept", daemon=True
        )
        self._acceptor.start()

    def down(self) -> None:
        """Refuse connections and break the open ones, as a service that died."""
        listener, self._listener = self._listener, None
        if listener is not None:
            if self._acceptor is not None:
                self._acceptor.join()
            listener.close()
            if isinstance(self.address, str):
                Path(self.address).unlink(missing_ok=True)
        self.reset()

    def reset(self) -> None:
        """Break the open connections; on TCP the client sees "connection reset"."""
        links = list(self._links)
        for link in links:
            link.abort()
        for link in links:
            link.join()

    def heal(self) -> None:
        """Forward everything at once again."""
        self.latency, self.black_hole, self.cut_after = 0.0, False, None
        self.hole_for = None
        self.up()

    def close(self) -> None:
        """End all connections, threads and sockets."""
        self.down()

    def __enter__(self) -> "FaultProxy":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _accept(self, listener: socket.socket) -> None:
        while self._listener is listener:
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        service = _socket_for(self.target)
        service.settimeout(CONNECT_TIMEOUT)
        try:
            service.connect(self.target)
        except OSError:
            service.close()
            _discard(client)
            return
        link = _Link(self, client, service, self._links.discard)
        self._links.add(link)
        link.start()


class _Link:
    """One forwarded connection: two threads, one for each direction."""

    def __init__(
        self,
        proxy: FaultProxy,
        client: socket.socket,
        service: socket.socket,
        forget: Callable[["_Link"], None],
    ) -> None:
        self._proxy = proxy
        self._client, self._service = client, service
        self._forget = forget
        self._sent = b""
        self._over = threading.Event()
        self._aborted = False
        self._lock = threading.Lock()
        self._open_directions = 2
        client.settimeout(TICK)
        service.settimeout(TICK)
        self._threads = [
            self._thread(self._requests, "fault-proxy-requests"),
            self._thread(self._answers, "fault-proxy-answers"),
        ]

    def _thread(self, work: Callable[[], None], name: str) -> threading.Thread:
        return threading.Thread(target=self._run, args=(work,), name=name, daemon=True)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def abort(self) -> None:
        """Break the connection off."""
        self._aborted = True
        self._over.set()

    def join(self) -> None:
        """Wait until the threads have ended and the sockets are closed."""
        for thread in self._threads:
            thread.join()

    def _run(self, work: Callable[[], None]) -> None:
        # The peer may break the connection at any time: that ends the link like a reset.
        try:
            work()
        except OSError:
            self.abort()
        finally:
            self._direction_ended()

    def _direction_ended(self) -> None:
        """Close the sockets once both directions have ended; a half-closed connection is legal."""
        with self._lock:
            self._open_directions -= 1
            last = self._open_directions == 0
        if last:
            for end in (self._client, self._service):
                _discard(end) if self._aborted else end.close()
            self._forget(self)

    def _requests(self) -> None:
        while data := self._receive(self._client):
            self._sent = (self._sent + data)[-_REMEMBERED:]
            if not self._deliver(self._service, data):
                return
        self._end_writing(self._service)

    def _answers(self) -> None:
        answered = 0
        while data := self._receive(self._service):
            limit = self._proxy.cut_after
            if limit is not None:
                data = data[: max(0, limit - answered)]
            if not self._deliver(self._client, data):
                return
            answered += len(data)
            if limit is not None and answered >= limit:
                self._over.set()
                return
        self._end_writing(self._client)

    def _receive(self, end: socket.socket) -> bytes:
        """Return the next data; nothing when the peer has finished or the link is over."""
        while not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                return end.recv(_CHUNK)
        return b""

    def _deliver(self, end: socket.socket, data: bytes) -> bool:
        """Send the data as late as the proxy says; False when the link was over before that."""
        self._over.wait(self._proxy.latency)
        while self._holds_back() and not self._over.is_set():
            self._over.wait(TICK)
        while data and not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                data = data[end.send(data) :]
        return not self._over.is_set()

    def _holds_back(self) -> bool:
        wanted = self._proxy.hole_for
        return self._proxy.black_hole or (wanted is not None and wanted in self._sent)

    def _end_writing(self, end: socket.socket) -> None:
        """Pass on that one side has finished; not after a break, which is no orderly end."""
        if not self._over.is_set():
            end.shutdown(socket.SHUT_WR)


def _socket_for(address: Address) -> socket.socket:
    return socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)


def _discard(end: socket.socket) -> None:
    """Close the socket so that a TCP peer gets a reset instead of an orderly end."""
    if end.family == socket.AF_INET:
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()
