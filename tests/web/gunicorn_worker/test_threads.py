"""Which thread serves which request, and who waits for one."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, cast

import pytest

from app.web.gunicorn_worker.connection import Connection
from app.web.gunicorn_worker.framing import Stage
from app.web.gunicorn_worker.served import ServedRequest
from app.web.gunicorn_worker.threads import RESERVED_THREADS, RequestThreads
from tests.backends.programs import wait_until

THREADS = 4


class Pool:
    """Request threads whose work is to wait until they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.served_by: dict[int, str] = {}
        self.done: list[Connection] = []
        self.freed: list[Connection] = []
        self.threads = RequestThreads(THREADS, self._serve, self._done, self.freed.append)

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


def test_large_bodies_wait_for_no_place_and_are_never_with_probes(pool: Pool) -> None:
    """Who asks is known in a thread only: nobody is to wait there behind somebody's slow body."""
    large = [pool.ask(Stage.LARGE) for _ in range(THREADS)]
    assert [pool.by(each) for each in large] == ["request"] * THREADS
    assert all(each.sock.request.large for each in large)
    assert not pool.ask().sock.request.large
    health = pool.ask(Stage.LARGE, health=True)
    assert pool.threads.queued() == 2
    pool.finish()
    assert pool.by(health) == "request"


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


class Handler:
    """A WebSocket that lasts until it is told to end."""

    def __init__(self) -> None:
        self.end = threading.Event()
        self.thread = ""
        self.given_up = False

    def run(self) -> None:
        self.thread = threading.current_thread().name
        assert self.end.wait(10)

    def give_up(self) -> None:
        self.given_up = True


def test_what_goes_on_after_a_request_takes_no_thread_from_requests(pool: Pool) -> None:
    handlers = [Handler() for _ in range(2 * THREADS)]
    connections = [pool.ask() for _ in handlers]
    for connection, handler in zip(connections, handlers, strict=True):
        connection.sock.request.handler = handler
    pool.go.set()
    wait_until(lambda: len(pool.freed) == len(handlers), 5)
    for connection in pool.freed:
        pool.threads.free(connection)
    assert pool.threads.busy() == (0, THREADS)
    assert pool.threads.serving() == len(handlers), "their connections are in use"
    assert not pool.done, "they are not to be read from"
    wait_until(lambda: {handler.thread for handler in handlers} == {"websocket"}, 5)

    for handler in handlers:
        handler.end.set()
    pool.finish()
    assert pool.threads.busy() == (0, THREADS)
    assert pool.threads.serving() == pool.threads.held() == 0


def test_where_the_host_gives_no_thread_a_websocket_is_given_up(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler, connection = Handler(), pool.ask()
    connection.sock.request.handler = handler
    pool.by(connection)

    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    pool.go.set()
    wait_until(lambda: bool(pool.done), 5)
    assert handler.given_up


def test_all_threads_are_there_from_the_beginning(pool: Pool) -> None:
    before = threading.active_count()
    pool.threads.start()
    assert threading.active_count() == before + THREADS + RESERVED_THREADS
