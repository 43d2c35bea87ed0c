"""Request threads and the queue of the listening socket."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from prefork_metrics.runtime.saturation import (
    QueueReadings,
    SaturationReadings,
    ServerReadings,
    fullest,
)
from prefork_metrics.runtime.scrapes import Scrapes
from tests.prefork_metrics.registry import read, registry

THREADS = "test_worker_threads"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def listen(stack: ExitStack, host: str, limit: int, waiting: int) -> socket.socket:
    """A listening socket with that many connections that nobody accepts."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = stack.enter_context(socket.socket(family))
    listener.bind((host, 0))
    listener.listen(limit)
    for _ in range(waiting):
        client = stack.enter_context(socket.socket(family))
        client.connect(listener.getsockname())
    return listener


def test_threads_are_those_that_the_worker_tells() -> None:
    readings = SaturationReadings(registry, ServerReadings(lambda: (3, 8)))
    readings.publish()
    assert read(THREADS) == {("busy",): 3, ("total",): 8}
    assert read("test_workers") == {(): 1}

    readings.clear()
    assert read(THREADS) == {("busy",): 0, ("total",): 0}
    assert read("test_workers") == {(): 0}


def test_scrape_does_not_count_itself() -> None:
    scrapes = Scrapes()
    others = scrapes.without(lambda: (3, 8))
    with scrapes.serve():
        assert others() == (2, 8)
    assert others() == (3, 8)


def test_scrape_on_a_reserved_thread_takes_nothing_off() -> None:
    scrapes = Scrapes()
    seen: list[tuple[int, int]] = []

    def render() -> None:
        with scrapes.serve():
            seen.append(scrapes.without(lambda: (8, 8))())

    thread = threading.Thread(target=render, name="reserved_0")
    thread.start()
    thread.join()
    assert seen == [(8, 8)]


def test_queue_of_a_listening_socket(stack: ExitStack) -> None:
    listener = listen(stack, "127.0.0.1", limit=7, waiting=3)

    QueueReadings(registry, [listener]).publish()

    assert read("test_accept_queue_depth") == {(): 3}
    assert read("test_accept_queue_limit") == {(): 7}


def test_fullest_of_several_sockets(stack: ExitStack) -> None:
    roomy = listen(stack, "127.0.0.1", limit=100, waiting=4)
    full = listen(stack, "127.0.0.1", limit=3, waiting=3)

    assert fullest([roomy, full]) == (3, 3)


def test_accepted_connections_do_not_wait(stack: ExitStack) -> None:
    listener = listen(stack, "127.0.0.1", limit=7, waiting=2)
    stack.enter_context(listener.accept()[0])

    assert fullest([listener]) == (1, 7)


def test_unix_and_closed_sockets_are_left_out(stack: ExitStack, tmp_path: Path) -> None:
    unix = stack.enter_context(socket.socket(socket.AF_UNIX))
    unix.bind(str(tmp_path / "socket"))
    unix.listen(5)
    closed = listen(stack, "127.0.0.1", limit=5, waiting=0)
    closed.close()

    assert fullest([unix, closed]) == (0, 0)
    assert fullest([]) == (0, 0)
