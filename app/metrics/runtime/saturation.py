"""How much of what can serve requests is taken: threads, connections, and the listening sockets.

The worker takes in all connections that it has room for, and queues requests inside: the socket's
queue grows only when there is no room left. So both queues are shown.
"""

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from app.metrics.catalogue import (
    accept_queue_depth,
    accept_queue_limit,
    client_connections,
    client_connections_limit,
    http_oldest_request,
    worker_queue_depth,
    worker_threads,
    workers,
)

# struct tcp_info of linux/tcp.h: of a listening socket tcpi_unacked is how many connections wait
# to be accepted, and tcpi_sacked how many may.
_TCP_INFO = struct.Struct("8B24I")
_UNACKED, _SACKED = 12, 13
_INTERNET = (socket.AF_INET, socket.AF_INET6)

Threads = Callable[[], tuple[int, int]]
"""Returns how many request threads are busy, the scrape's own left out, and how many there are."""


# What the worker calls its threads for probes and scrapes; they are not among the busy ones.
_RESERVED = "reserved"


class Scrapes:
    """Which request threads serve a scrape at the moment; it must not show itself as busy."""

    def __init__(self) -> None:
        # Adding to and discarding from a set are single steps: they need no lock.
        self._serving: set[int] = set()

    @contextmanager
    def serve(self) -> Iterator[None]:
        """Leave this thread out of the busy ones while it renders a scrape."""
        thread = threading.current_thread()
        if not thread.name.startswith(_RESERVED):
            self._serving.add(threading.get_ident())
        try:
            yield
        finally:
            self._serving.discard(threading.get_ident())

    def without(self, threads: Threads) -> Threads:
        """Return `threads` with those that serve a scrape taken off the busy ones."""

        def others() -> tuple[int, int]:
            busy, total = threads()
            return max(0, busy - len(self._serving)), total

        return others


@dataclass(frozen=True)
class ServerReadings:
    """What a worker tells of itself, by functions that any thread may call.

    Attributes: threads (see `Threads`), queued (requests that wait for a thread), oldest (seconds
    for which a thread has had the oldest request), connections (their number by state, and how many
    there may be).
    """

    threads: Threads
    queued: Callable[[], int] = lambda: 0
    oldest: Callable[[], float] = lambda: 0.0
    connections: Callable[[], tuple[Mapping[str, int], int]] = lambda: ({}, 0)


class Listener(Protocol):
    """What is asked of a listening socket; gunicorn's wrappers and plain sockets have it."""

    @property
    def family(self) -> int: ...
    def getsockopt(self, level: int, option: int, length: int, /) -> bytes: ...


class SaturationReadings:
    """Publishes what this worker's requests and connections take, and that it lives."""

    def __init__(self, server: ServerReadings) -> None:
        self._server = server

    def publish(self) -> None:
        """Set the numbers of this moment."""
        busy, total = self._server.threads()
        connections, limit = self._server.connections()
        self._set(busy, total, self._server.queued(), self._server.oldest(), connections, limit)
        workers.child().set(1)

    def clear(self) -> None:
        """Take this worker out of the sums, for it ends."""
        self._set(0, 0, 0, 0.0, dict.fromkeys(self._server.connections()[0], 0), 0)
        workers.child().set(0)

    @staticmethod
    def _set(
        busy: int, total: int, queued: int, oldest: float, states: Mapping[str, int], limit: int
    ) -> None:
        worker_threads.child("busy").set(busy)
        worker_threads.child("total").set(total)
        worker_queue_depth.child().set(queued)
        http_oldest_request.child().set(oldest)
        for state, number in states.items():
            client_connections.child(state).set(number)
        client_connections_limit.child().set(limit)


class QueueReadings:
    """Publishes the fullest of the listening sockets, which all workers share."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = tuple(listeners)

    def publish(self) -> None:
        """Set depth and limit; 0 and 0 without a TCP socket, or when they are closed."""
        depth, limit = fullest(self._listeners)
        accept_queue_depth.child().set(depth)
        accept_queue_limit.child().set(limit)


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
