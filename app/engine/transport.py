"""How bytes get to the engine: one pool of connections whose sockets keep the call's deadline.

Replaces the SDK's own transport, which keeps one pool for each URL (never more than 25 of them,
whatever `num_pools` says) and closes the oldest while another thread may be using it.
"""

import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import urlsplit

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from app.core.deadline import required
from app.core.errors import EngineUnreachableError

Address = str | tuple[str, int]
"""Path of a unix socket, or host and port."""

# Idle connections kept; more threads than that work too, their connections are closed after use.
# Many terminals that close at once are such: what is kept is kept for as long as the process lives.
_POOL_SIZE = 10


def parse_host(host: str) -> Address:
    """Return the address in DOCKER_HOST. Raises EngineUnreachableError when there is none."""
    try:
        url = urlsplit(host.strip())
        port = url.port
    except ValueError:
        url, port = urlsplit(""), None
    if url.scheme == "unix" and url.path.startswith("/") and not url.netloc:
        return url.path
    if url.scheme == "tcp" and url.hostname and port and url.path in ("", "/"):
        return url.hostname, port
    raise EngineUnreachableError(
        "DOCKER_HOST is not an address this release can use; the operator sets it to "
        "unix:///path/to/docker.sock or tcp://host:port."
    )


class NotConnectedError(HTTPError):
    """No connection to the engine came about: nothing was sent, so nothing was changed."""


class IdlePolicy(Protocol):
    """Decides how long a followed stream may say nothing."""

    @property
    def patience(self) -> float:
        """Seconds of silence until `check`."""

    def check(self) -> None:
        """Return when the stream may stay silent; raise what ends it otherwise."""


class DeadlineSocket(socket.socket):
    """A socket that never waits for the peer past the deadline of the call it serves.

    A call whose answer is followed ends long before the answer does: from `follow` on an idle
    policy takes the place of the deadline.
    """

    _idle_policy: IdlePolicy | None = None

    def follow(self, idle_policy: IdlePolicy) -> None:
        """Wait from now on for as long as `idle_policy` lets it."""
        self._idle_policy = idle_policy

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        """Receive like any socket, for as long as the call has left. All reads end up here."""
        # A time-out must not leave here while somebody follows: the file object that wraps the
        # socket refuses to be read after one.
        while (idle_policy := self._idle_policy) is not None:
            self.settimeout(idle_policy.patience)
            try:
                return super().recv_into(*args, **kwargs)
            except TimeoutError:
                idle_policy.check()
        self.settimeout(required())
        return super().recv_into(*args, **kwargs)


def dial(address: Address) -> DeadlineSocket:
    """Connect to the engine within the current deadline. Raises NotConnectedError."""
    timeout = required()
    try:
        plain = (
            _dial_unix(address, timeout)
            if isinstance(address, str)
            else socket.create_connection(address, timeout=timeout)
        )
    except OSError as error:
        # Whatever the reason: networks have more of them than can be named one by one.
        raise NotConnectedError("no connection to Docker Engine") from error
    connected = DeadlineSocket(plain.family, plain.type, plain.proto, fileno=plain.detach())
    connected.settimeout(timeout)
    return connected


def _dial_unix(path: str, timeout: float) -> socket.socket:
    plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        plain.settimeout(timeout)
        plain.connect(path)
    except BaseException:
        plain.close()
        raise
    return plain


def keep_alive(connection: socket.socket) -> None:
    """Have the kernel find out when the engine's host is gone, also while nobody says anything."""
    if connection.family == socket.AF_UNIX:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # A host that vanished is noticed after KEEPIDLE + KEEPINTVL * KEEPCNT seconds.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


def shut_down(connection: socket.socket) -> None:
    """End the connection and wake whoever waits for it; its descriptor stays open."""
    with suppress(OSError):  # the engine may have ended it already
        connection.shutdown(socket.SHUT_RDWR)


class _Connection(HTTPConnection):
    """HTTP over whatever `dial` gives."""

    def __init__(self, *args: Any, address: Address, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._address = address

    def connect(self) -> None:
        self.sock = dial(self._address)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class EngineAdapter(HTTPAdapter):
    """Sends every request of a requests session to the one engine at `address`."""

    def __init__(self, address: Address) -> None:
        super().__init__()
        self._pool = _Pool("localhost", maxsize=_POOL_SIZE, address=address)

    def get_connection_with_tls_context(
        self,
        request: PreparedRequest,
        verify: bool | str | None,
        proxies: Mapping[str, str] | None = None,
        cert: tuple[str, str] | str | None = None,
    ) -> HTTPConnectionPool:
        """Return the one pool."""
        return self._pool

    def close(self) -> None:
        """Close the idle connections."""
        super().close()
        self._pool.close()
