"""Taking in connections: as they come, and as far as descriptors go."""

import errno
import socket
import ssl
import struct
from typing import Any

_INTERNET = (socket.AF_INET, socket.AF_INET6)
# struct tcp_info of linux/tcp.h, up to tcpi_last_data_recv: milliseconds since bytes came last. Of
# a listening socket tcpi_unacked is how many connections wait to be accepted.
_TCP_INFO = struct.Struct("8B12I")
_ACCEPT_QUEUE = 12
_LAST_DATA_RECEIVED = 19
_MILLISECONDS = 1000
# The kernel counts in jiffies, of up to 10 ms; less than a few of them is no delay.
_LEAST_LATE = 0.02
_NOBODY = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED, errno.EINTR})


def accept(listener: Any, stall: float) -> tuple[socket.socket, Any] | None:
    """Accept a connection. Returns: it and the client's address, or None where there is none.

    The kernel ends it when the client takes nothing of what was sent for `stall` seconds: a client
    that has vanished, or that reads no more. Raises: OSError where no more can be had.
    """
    try:
        peer, address = listener.accept()
    except OSError as error:
        if error.errno in _NOBODY:
            return None
        raise
    if peer.family in _INTERNET:
        milliseconds = int(stall * _MILLISECONDS)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
    return peer, address


def lateness(peer: socket.socket) -> float:
    """Return for how many seconds bytes have waited on a connection that was just accepted.

    That is how long it waited in the kernel's queue, where nobody could read them.
    """
    if peer.family not in _INTERNET:
        return 0.0
    try:
        info = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        seconds = _TCP_INFO.unpack(info)[_LAST_DATA_RECEIVED] / _MILLISECONDS
    except (OSError, struct.error):
        return 0.0
    return seconds if seconds >= _LEAST_LATE else 0.0


def waiting(listener: Any) -> int:
    """Return how many connections wait in the kernel's queue; 0 where it does not tell."""
    try:
        if listener.family not in _INTERNET:
            return 0
        info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        depth: int = _TCP_INFO.unpack(info)[_ACCEPT_QUEUE]
    except (OSError, struct.error):
        return 0
    return depth


def secured(peer: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Return the connection with TLS, whose handshake is to come. Raises: OSError."""
    peer.setblocking(False)
    return context.wrap_socket(peer, server_side=True, do_handshake_on_connect=False)
