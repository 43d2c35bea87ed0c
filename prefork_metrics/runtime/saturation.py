"""How much of what can serve requests is taken: threads, connections, and the listening sockets.

The worker takes in all connections that it has room for, and queues requests inside: the socket's
queue grows only when there is no room left. So both queues are shown.
"""

import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from prefork_metrics.registry import Registry

# struct tcp_info of linux/tcp.h: of a listening socket tcpi_unacked is how many connections wait
# to be accepted, and tcpi_sacked how many may.
_TCP_INFO = struct.Struct("8B24I")
_UNACKED, _SACKED = 12, 13
_INTERNET = (socket.AF_INET, socket.AF_INET6)

Threads = Callable[[], tuple[int, int]]
"""Returns how many request threads are busy, the scrape's own left out, and how many there are."""


@dataclass(frozen=True)
class ServerReadings:
    """What a worker tells of itself, by functions that any thread may call.

    Attributes: threads (see `Threads`), queued (requests that wait for a thread), oldest (seconds
    for which a thread has had the oldest request), connections (their number by state, and how many
    there may be). None: the worker cannot tell, and there is no series.
    """

    threads: Threads | None = None
    queued: Callable[[], int] | None = None
    oldest: Callable[[], float] | None = None
    connections: Callable[[], tuple[Mapping[str, int], int]] | None = None


class Listener(Protocol):
    """What is asked of a listening socket; gunicorn's wrappers and plain sockets have it."""

    @property
    def family(self) -> int: ...
    def getsockopt(self, level: int, option: int, length: int, /) -> bytes: ...


class SaturationReadings:
    """Publishes what this worker's requests and connections take, and that it lives."""

    def __init__(self, registry: Registry, server: ServerReadings) -> None:
        self._families = registry.server
        self._server = server

    def publish(self) -> None:
        """Set the numbers of this moment."""
        server, families = self._server, self._families
        if server.threads is not None:
            busy, total = server.threads()
            families.threads.child("busy").set(busy)
            families.threads.child("total").set(total)
        if server.queued is not None:
            families.queue_depth.child().set(server.queued())
        if server.oldest is not None:
            families.oldest_request.child().set(server.oldest())
        if server.connections is not None:
            states, limit = server.connections()
            for state, number in states.items():
                families.client_connections.child(state).set(number)
            families.client_connections_limit.child().set(limit)
        families.workers.child().set(1)

    def clear(self) -> None:
        """Take this worker out of the sums, for it ends."""
        server, families = self._server, self._families
        if server.threads is not None:
            families.threads.child("busy").set(0)
            families.threads.child("total").set(0)
        if server.queued is not None:
            families.queue_depth.child().set(0)
        if server.oldest is not None:
            families.oldest_request.child().set(0)
        if server.connections is not None:
            for state in server.connections()[0]:
                families.client_connections.child(state).set(0)
            families.client_connections_limit.child().set(0)
        families.workers.child().set(0)


class QueueReadings:
    """Publishes the fullest of the listening sockets, which all workers share."""

    def __init__(self, registry: Registry, listeners: Sequence[Listener]) -> None:
        self._families = registry.server
        self._listeners = tuple(listeners)

    def publish(self) -> None:
        """Set depth and limit; 0 and 0 without a TCP socket, or when they are closed."""
        depth, limit = fullest(self._listeners)
        self._families.accept_queue_depth.child().set(depth)
        self._families.accept_queue_limit.child().set(limit)


def fullest(listeners: Sequence[Listener]) -> tuple[int, int]:
    """Return depth and limit of the socket with the least room; Unix sockets do not tell."""
    queues = [queue for queue in map(_queue, listeners) if queue is not None]
    return max(queues, key=lambda queue: queue[0] / max(1, queue[1]), default=(0, 0))


def _queue(listener: Listener) -> tuple[int, int] | None:
    try:
        if listener.family not in _INTERNET:
            return None
        info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    except (OSError, AttributeError):
        # Closed: a worker that stops accepts no more. gunicorn's wrapper then holds None.
        return None
    fields = _TCP_INFO.unpack(info)
    return fields[_UNACKED], fields[_SACKED]
