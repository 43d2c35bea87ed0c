"""Which thread serves which request, and who waits for one."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, cast

import pytest

from app.worker.connection import Connection
from app.worker.framing import Stage
from app.worker.served import ServedRequest
from app.worker.threads import RESERVED_THREADS, RequestThreads
from tests.services.programs import wait_until

THREADS = 4


class Pool:
    """Request threads whose work is to wait until they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.served_by: dict[int, str] = {}
        self.done: list[Connection] = []
        self.threads = RequestThreads(THREADS, self._serve, self._done)

    def _serve(self, connection: Connection) -> bool:
        connection.sock.request.started = time.perf_counter()
        self.served_by[id(connection)] = threading.current_thread().name.partition("_")[0]
        assert self.go.wait(10)
        return True

    def _done(self, connection: Connection, served: "Future[Any]") -> None:
        assert served.result() is True
        self.done.append(connection)

    def ask(self, stage: Stage = Stage.WHOLE, *, health: bool = False) -> Connection:
        socket = Anything(request=ServedRequest(time.perf_counter()))
        framing = Anything(health=health)
        connection = cast(Connection, Anything(sock=socket, framing=framing))
        self.threads.dispatch(connection, stage)
        return connection

    def by(self, connection: Connection) -> str:
        wait_until(lambda: id(connection) in self.served_by, 5)
        return self.served_by[id(connection)]

    def finish(self) -> None:
        """Let all go, and take note of it as the main loop does."""
        self.go.set()
        while self.threads.serving() or self.threads.queued():
            wait_until(lambda: bool(self.done), 5)
            self.threads.finished(self.done.pop())

    def close(self) -> None:
        self.go.set()
        self.threads.requests.shutdown()
        self.threads.reserved.shutdown()


class Anything:
    """Has what it is given."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool()
    yield pool
    pool.close()


def test_requests_wait_for_a_thread_and_are_counted(pool: Pool) -> None:
    for _ in range(THREADS + 3):
        pool.ask()
    assert pool.threads.busy() == (THREADS, THREADS)
    assert pool.threads.queued() == 3
    assert pool.threads.held() == THREADS + 3
    assert pool.threads.serving() == THREADS
    pool.finish()
    assert pool.threads.busy() == (0, THREADS)
    assert pool.threads.queued() == pool.threads.held() == 0


def test_probes_have_threads_of_their_own_while_all_others_are_held(pool: Pool) -> None:
    assert pool.by(pool.ask(health=True)) == "request"
    for _ in range(THREADS):
        pool.ask()
    assert pool.by(pool.ask(health=True)) == "reserved"
    assert pool.threads.queued() == 1
    pool.finish()


def test_large_bodies_hold_a_quarter_of_the_threads_and_never_those_of_probes(pool: Pool) -> None:
    first = pool.ask(Stage.LARGE)
    others = [pool.ask(Stage.LARGE), pool.ask(Stage.LARGE, health=True)]
    assert pool.by(first) == "request"
    assert pool.threads.queued() == 2
    assert pool.threads.busy() == (1, THREADS)
    assert first.sock.request.place
    pool.finish()
    assert [pool.by(each) for each in others] == ["request", "request"]
    assert pool.threads.places.acquire(blocking=False), "the place is free again"


def test_the_oldest_request_is_one_that_is_not_to_last(pool: Pool) -> None:
    assert pool.threads.oldest() == 0
    lasting, other = pool.ask(), pool.ask()
    for connection in (lasting, other):
        pool.by(connection)
    lasting.sock.request.lasting = True
    lasting.sock.request.started -= 100
    other.sock.request.started -= 10
    assert 10 <= pool.threads.oldest() < 20
    pool.finish()
    assert pool.threads.oldest() == 0


def test_all_threads_are_there_from_the_beginning(pool: Pool) -> None:
    before = threading.active_count()
    pool.threads.start()
    assert threading.active_count() == before + THREADS + RESERVED_THREADS
