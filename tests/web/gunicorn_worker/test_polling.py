"""What the main loop does with connections: real sockets, a real selector, no gunicorn around."""

import selectors
import socket
import time
from collections.abc import Callable, Iterator
from threading import Semaphore

import pytest
from gunicorn.config import Config

from app.core.errors import (
    HeadersTooLargeError,
    MalformedRequestError,
    RequestTimeoutError,
    VibeBoxError,
)
from app.web.gunicorn_worker import polling
from app.web.gunicorn_worker.client_socket import Patience
from app.web.gunicorn_worker.connection import Connection, State
from app.web.gunicorn_worker.deadlines import Deadlines
from app.web.gunicorn_worker.framing import Stage
from app.web.gunicorn_worker.polling import ConnectionPoller
from tests.web.gunicorn_worker.support import cut_offs, waits

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"
BIG = 8 * 1024 * 1024
DEADLINES = Deadlines(head=0.3, stall=0.3, rate=1000)


class Loop:
    """A main loop whose threads are the test."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.poller = ConnectionPoller(self.selector, self, 0.3)
        self.poller.deadlines = DEADLINES
        self.config = Config()
        self.dispatched: list[tuple[Connection, Stage]] = []
        self.refused: list[VibeBoxError] = []
        self.closings = 0
        self.clients: list[socket.socket] = []
        self.connections: list[Connection] = []

    def dispatch(self, connection: Connection, stage: Stage) -> None:
        self.dispatched.append((connection, stage))

    def refuse(self, connection: Connection, error: VibeBoxError) -> None:
        self.refused.append(error)
        connection.sock.inbox.clear()
        connection.sock.sendall(b"refused")

    def closed(self, connection: Connection) -> None:
        self.closings += 1

    def client(self, *pieces: bytes) -> socket.socket:
        """Connect somebody who has sent that already."""
        ours, theirs = socket.socketpair()
        theirs.settimeout(5)
        self.clients.append(theirs)
        for piece in pieces:
            theirs.sendall(piece)
        patience = Patience(DEADLINES, Semaphore(1))
        connection = Connection(self.config, ours, "", "", patience)
        self.connections.append(connection)
        self.poller.add(connection)
        return theirs

    def turn(self, seconds: float = 0.0) -> None:
        """Go on until nothing happens for so long."""
        while events := self.selector.select(seconds):
            for key, _ in events:
                key.data(key.fileobj)
        self.poller._sweep_at = 0.0
        self.poller.sweep()

    def until(self, condition: Callable[[], bool]) -> None:
        ends_at = time.perf_counter() + 5
        while not condition():
            assert time.perf_counter() < ends_at
            self.turn(0.02)

    def answer(self, data: bytes = b"answer", *, keep: bool = True) -> Connection:
        """Do what a thread does with the oldest request."""
        connection, _ = self.dispatched.pop(0)
        connection.init()
        next(connection.parser).body.read()
        connection.sock.sendall(data)
        connection.sock.finish()
        self.poller.returned(connection, keep=keep)
        return connection

    def states(self) -> list[State]:
        return [each.state for each in self.connections]

    def close(self) -> None:
        for client in self.clients:
            client.close()
        for connection in self.connections:
            connection.close()
        self.selector.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


def test_a_request_that_is_there_is_handed_over_at_once(loop: Loop) -> None:
    loop.client(GET)
    ((connection, stage),) = loop.dispatched
    assert stage is Stage.WHOLE
    assert loop.selector.get_map().get(connection.descriptor) is None, "nobody looks meanwhile"
    assert connection.sock.request.receiving == 0
    assert time.perf_counter() - connection.sock.request.ready < 1


def test_a_request_in_pieces_is_handed_over_when_it_is_whole(loop: Loop) -> None:
    client = loop.client(POST[:10])
    for piece in (POST[10:], b"123"):
        time.sleep(0.02)
        client.sendall(piece)
        loop.turn()
        assert not loop.dispatched
        assert loop.states() == [State.RECEIVING]
    client.sendall(b"45")
    with waits() as found:
        loop.turn()
        loop.answer()

    assert client.recv(100) == b"answer"
    ((phase, seconds),) = found
    assert phase == "receive" and 0.04 <= seconds < 1
    assert loop.states() == [State.IDLE]


def test_bytes_that_waited_in_the_kernel_count_from_when_they_came(loop: Loop) -> None:
    ours, theirs = socket.socketpair()
    loop.clients.append(theirs)
    theirs.sendall(GET)
    connection = Connection(loop.config, ours, "", "", Patience(DEADLINES, Semaphore(1)))
    loop.connections.append(connection)

    loop.poller.add(connection, late=3.0)

    assert time.perf_counter() - connection.sock.request.ready >= 3.0


def test_a_large_body_is_not_awaited(loop: Loop) -> None:
    loop.client(POST.replace(b": 5", b": 5000000"))
    assert [stage for _, stage in loop.dispatched] == [Stage.LARGE]


def test_whoever_waits_for_100_continue_is_told_once(loop: Loop) -> None:
    client = loop.client(POST[:-2] + b"Expect: 100-continue\r\n\r\n")
    assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.sendall(b"12")
    loop.turn()
    client.sendall(b"345")
    loop.turn()
    loop.answer()
    assert client.recv(100) == b"answer"


def test_half_a_head_is_a_408_in_time(loop: Loop) -> None:
    client = loop.client(GET[:10])
    ends_at = time.perf_counter() + 2
    with cut_offs() as reasons:
        while not loop.refused:
            assert time.perf_counter() < ends_at
            loop.turn(0.05)
            if not loop.refused:
                client.sendall(b"x")  # dripping does not help

    assert isinstance(loop.refused[0], RequestTimeoutError)
    assert reasons == ["head"]
    assert client.recv(100) == b"refused"
    assert client.recv(100) == b""
    client.close()
    loop.turn()
    assert loop.closings == 1


def test_half_a_body_is_a_408_in_time(loop: Loop) -> None:
    client = loop.client(POST + b"12")
    with cut_offs() as reasons:
        loop.until(lambda: bool(loop.refused))

    assert reasons == ["body"]
    assert client.recv(100) == b"refused"


def test_silence_is_closed_without_a_word(loop: Loop) -> None:
    client = loop.client()
    with cut_offs() as reasons:
        loop.until(lambda: loop.closings == 1)
    assert client.recv(100) == b""
    assert reasons == [] == loop.refused


def test_an_idle_connection_is_closed_after_its_time(loop: Loop) -> None:
    client = loop.client(GET)
    begun = time.perf_counter()
    loop.answer()
    loop.until(lambda: loop.closings == 1)
    assert time.perf_counter() - begun >= 0.3
    assert client.recv(100) == b"answer"


@pytest.mark.parametrize(
    ("sent", "error"),
    [(b"\x16\x03\x01", MalformedRequestError), (GET[:-2] + b"a" * 70_000, HeadersTooLargeError)],
)
def test_what_is_no_request_is_refused(loop: Loop, sent: bytes, error: type[VibeBoxError]) -> None:
    client = loop.client()
    client.sendall(sent)
    loop.turn()
    assert [type(each) for each in loop.refused] == [error]
    assert client.recv(100) == b"refused"


@pytest.mark.parametrize("sent", [b"", GET[:10]])
def test_who_leaves_before_a_request_is_forgotten(loop: Loop, sent: bytes) -> None:
    loop.client(sent).close() if sent else loop.client().close()
    loop.turn()
    assert (loop.closings, loop.refused, loop.dispatched) == (1, [], [])


def test_who_leaves_in_the_middle_of_a_body_is_the_applications(loop: Loop) -> None:
    loop.client(POST + b"12").shutdown(socket.SHUT_WR)
    loop.turn()
    assert [stage for _, stage in loop.dispatched] == [Stage.WHOLE]


def test_pipelined_requests_follow_each_other(loop: Loop) -> None:
    client = loop.client(GET + POST + b"12345" + GET[:5])
    loop.answer(b"1")
    assert loop.dispatched[0][0].sock.request.receiving == 0
    loop.answer(b"2")
    assert loop.states() == [State.RECEIVING]
    client.sendall(GET[5:])
    loop.turn()
    loop.answer(b"3")
    assert client.recv(100) == b"123"


def test_an_answer_that_is_not_taken_holds_nobody(loop: Loop) -> None:
    client = loop.client(GET)
    with waits() as found:
        loop.answer(bytes(BIG))
        assert loop.states() == [State.SENDING]
        got = 0
        while got < BIG:
            got += len(client.recv(1 << 20))
            loop.turn()
    assert loop.states() == [State.IDLE]
    assert [phase for phase, _ in found] == ["send"]
    client.sendall(GET)
    loop.turn()
    loop.answer(b"next")
    assert client.recv(100) == b"next"


def test_an_answer_that_nobody_takes_is_cut_off(loop: Loop) -> None:
    loop.client(GET)
    with cut_offs() as reasons, waits() as found:
        loop.answer(bytes(BIG))
        loop.until(lambda: loop.closings == 1)
    assert reasons == ["answer"]
    assert found[0][1] >= 0.3


def test_the_last_answer_is_followed_by_the_end(loop: Loop) -> None:
    client = loop.client(GET)
    loop.answer(bytes(BIG), keep=False)
    got = 0
    while data := client.recv(1 << 20):
        got += len(data)
        loop.turn()
    assert got == BIG
    assert loop.states() == [State.CLOSING]
    client.sendall(b"never mind")
    loop.turn()
    client.close()
    loop.turn()
    assert loop.closings == 1


def test_who_does_not_hang_up_is_hung_up_on(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "CLOSING_SECONDS", 0.1)
    loop.client(GET)
    loop.answer(keep=False)
    loop.until(lambda: loop.closings == 1)


def test_a_client_that_is_gone_is_closed(loop: Loop) -> None:
    client = loop.client(GET)
    connection, _ = loop.dispatched[0]
    client.close()
    with pytest.raises(BrokenPipeError):
        loop.answer()
    loop.poller.returned(connection, keep=True)
    assert loop.closings == 1


@pytest.mark.parametrize("long", [True, False], ids=["long waited for", "all new"])
def test_room_is_made_by_whoever_is_missed_least(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, long: bool
) -> None:
    monkeypatch.setattr(polling, "_LONG_SECONDS", 0.0 if long else 60.0)
    monkeypatch.setattr(polling, "_MOMENT_SECONDS", 0.0)
    busy = loop.client(GET)
    receiving = loop.client(GET[:5])
    kept = loop.client(GET)
    loop.dispatched.reverse()
    loop.answer()
    fresh, second = loop.client(), loop.client()
    order = (fresh, second, kept, receiving) if long else (receiving, kept, fresh, second)
    with cut_offs() as reasons:
        for client in order:
            before = loop.closings
            assert loop.poller.make_room()
            assert loop.closings == before + 1
            while client.recv(100):
                pass
        assert not loop.poller.make_room(), "who waits for an answer gives way to nobody"
    assert reasons == ["room"] * 4
    loop.answer()
    assert busy.recv(100) == b"answer"


def test_who_has_just_come_gives_way_to_nobody(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    loop.client()
    loop.client(GET)
    loop.answer()
    loop.client(GET[:5])
    assert not loop.poller.make_room()
    time.sleep(polling._MOMENT_SECONDS)
    assert loop.poller.make_room()


@pytest.mark.parametrize("sent", [b"", GET[:20], POST, POST + b"12", GET])
def test_event_of_a_connection_that_has_just_given_way_changes_nothing(
    loop: Loop, sent: bytes
) -> None:
    """Both events come in one turn: of a new connection, and of the one that is closed for it."""
    client = loop.client(sent)
    (connection,) = loop.connections
    if connection.state is State.QUEUED:
        loop.answer()
    loop.turn()
    client.sendall(b"3")
    events = loop.selector.select(1)
    assert events
    loop.poller.close(connection)
    for key, _ in events:
        key.data(key.fileobj)
    loop.turn()
    assert (connection.state, loop.closings, loop.dispatched) == (State.CLOSED, 1, [])


def test_memory_is_bounded(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "MOST_BUFFERED", 310_000)
    for _ in range(5):
        client = loop.client(POST.replace(b": 5", b": 500000"))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        client.sendall(bytes(100_000))
    with cut_offs() as reasons:
        loop.turn()
    assert reasons == ["room"] * 2
    assert loop.poller.counts()[State.RECEIVING] == 3

    for _ in range(2):
        loop.client(GET)
        loop.answer(bytes(BIG))
    with cut_offs() as reasons:
        loop.turn()
    assert reasons == ["answer"] * 2


def test_a_stopping_worker_waits_for_requests_but_not_for_the_idle(loop: Loop) -> None:
    loop.client()
    loop.client(GET)
    loop.answer()
    loop.client(GET)
    loop.poller.stop(0.0)
    loop.turn()
    assert loop.closings == 2
    loop.answer()
    loop.turn()
    assert loop.closings == 3


def test_what_fails_for_one_connection_ends_that_one(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(connection: Connection, stage: Stage) -> None:
        raise RuntimeError("no threads")

    monkeypatch.setattr(loop, "dispatch", broken)
    client = loop.client(GET)
    assert client.recv(10) == b""
    assert loop.closings == 1
    assert "no threads" in caplog.text


def test_all_are_counted_and_closed(loop: Loop) -> None:
    loop.client()
    loop.client(GET[:5])
    loop.client(GET)
    loop.client(GET)
    loop.answer(bytes(BIG))
    loop.answer(keep=False)
    assert loop.poller.counts() == {
        State.IDLE: 1,
        State.RECEIVING: 1,
        State.SENDING: 1,
        State.CLOSING: 1,
    }
    loop.poller.close_all()
    assert loop.closings == 4
    assert set(loop.poller.counts().values()) == {0}
    assert not loop.selector.get_map()
