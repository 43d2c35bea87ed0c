"""The socket that threads read and write: it waits within bounds, or not at all."""

import io
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from app.core.errors import IncompleteBodyError, InvalidTokenError, RequestTimeoutError
from app.web.gunicorn_worker import client_socket
from app.web.gunicorn_worker.client_socket import ClientSocket, Patience
from app.web.gunicorn_worker.deadlines import Deadlines, Transfer
from app.web.gunicorn_worker.served import ServedRequest
from tests.web.gunicorn_worker.support import cut_offs

BIG = 8 * 1024 * 1024


class Pair:
    """Both ends of a connection, with small buffers."""

    def __init__(
        self,
        deadlines: Deadlines,
        places: int = 1,
        ends: tuple[socket.socket, socket.socket] | None = None,
    ) -> None:
        ours, self.theirs = ends or socket.socketpair()
        if ends is None:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.theirs.settimeout(5)
        self.places = threading.Semaphore(places)
        self.ours = ClientSocket(ours, Patience(deadlines, self.places))
        self.ours.begin(ServedRequest(time.perf_counter()))

    def close(self) -> None:
        self.ours.peer.close()
        self.theirs.close()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Return a connection over TCP, of which the client's end takes little."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.socket()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        theirs.connect(listener.getsockname())
        return listener.accept()[0], theirs


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair(Deadlines(stall=0.2))
    yield pair
    pair.close()


def read_all(end: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += end.recv(65536)
    return data


def test_what_was_read_already_is_handed_out_first(pair: Pair) -> None:
    pair.ours.inbox += b"0123456789"
    assert pair.ours.recv(4) == b"0123"
    assert pair.ours.recv(100) == b"456789"


def test_bytes_are_waited_for_and_that_is_the_clients_time(pair: Pair) -> None:
    threading.Timer(0.1, pair.theirs.sendall, [b"late"]).start()

    assert pair.ours.recv(100) == b"late"

    request = pair.ours.request
    assert 0.05 < request.waited == pytest.approx(request.receiving, abs=0.01)
    assert pair.places.acquire(blocking=False), "the place is given back"


def test_a_silent_client_is_a_408(pair: Pair) -> None:
    with cut_offs() as reasons, pytest.raises(RequestTimeoutError):
        pair.ours.recv(100)

    assert reasons == ["body"]
    assert pair.ours.request.waited >= 0.2


def test_a_client_that_drips_is_a_408() -> None:
    pair = Pair(Deadlines(stall=0.2, rate=1000))
    stopped = threading.Event()

    def drip() -> None:
        while not stopped.wait(0.05):
            pair.theirs.sendall(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    begun = time.perf_counter()
    try:
        with pytest.raises(RequestTimeoutError):
            while time.perf_counter() - begun < 5:
                pair.ours.recv(100)
    finally:
        stopped.set()
        thread.join()
        pair.close()
    assert 0.2 <= time.perf_counter() - begun < 1


def test_a_slow_client_that_keeps_the_rate_is_waited_for() -> None:
    pair = Pair(Deadlines(stall=0.2, rate=10))
    try:
        for _ in range(5):
            threading.Timer(0.1, pair.theirs.sendall, [b"x" * 10]).start()
            assert pair.ours.recv(100)
        assert pair.ours.request.waited > 0.4
    finally:
        pair.close()


@pytest.mark.parametrize("reset", [False, True])
def test_a_client_that_is_gone_leaves_a_body_incomplete(pair: Pair, reset: bool) -> None:
    if reset:  # what it did not read makes its end a reset
        pair.ours.peer.sendall(b"unread")
    pair.theirs.close()

    with pytest.raises(IncompleteBodyError):
        pair.ours.recv(100)


def test_only_so_many_threads_wait_at_once() -> None:
    pair = Pair(Deadlines(stall=30), places=0)
    try:
        with pytest.raises(RequestTimeoutError):
            pair.ours.recv(100)
        pair.ours.request.check = lambda _: None
        threading.Timer(0.05, pair.theirs.sendall, [b"x"]).start()
        assert pair.ours.recv(100) == b"x", "who is admitted by the application needs no place"
    finally:
        pair.close()


def test_what_ends_a_request_ends_the_wait_for_its_body(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that drips, and one that is silent, are waited for no longer than they may be."""
    monkeypatch.setattr(client_socket, "_LOOK_SECONDS", 0.01)
    begun, told = time.perf_counter(), []

    def check(came: int) -> None:
        told.append(came)
        if time.perf_counter() - begun > 0.05:
            raise InvalidTokenError

    pair.ours.request.check = check
    pair.theirs.sendall(b"x" * 7)
    with pytest.raises(InvalidTokenError), cut_offs() as reasons:
        while True:
            pair.ours.recv(100)
    assert time.perf_counter() - begun < 1
    assert (reasons, set(told)) == ([], {7})
    assert pair.ours.request.receiving == pytest.approx(pair.ours.request.waited, abs=0.01)
    assert pair.places.acquire(blocking=False)


def test_a_body_that_keeps_the_rate_is_not_waited_for_without_end() -> None:
    pair = Pair(Deadlines(stall=5, rate=1, body=0.2))
    stopped = threading.Event()

    def drip() -> None:
        while not stopped.wait(0.02):
            pair.theirs.sendall(b"x" * 10)

    thread = threading.Thread(target=drip)
    thread.start()
    begun = time.perf_counter()
    try:
        with cut_offs() as reasons, pytest.raises(RequestTimeoutError):
            while time.perf_counter() - begun < 3:
                pair.ours.recv(100)
    finally:
        stopped.set()
        thread.join()
        pair.close()
    assert 0.15 < time.perf_counter() - begun < 2
    assert reasons == ["body"]


def test_after_the_answer_nothing_is_waited_for(pair: Pair) -> None:
    pair.ours.finish()
    with pytest.raises(TimeoutError):
        pair.ours.recv(100)


def test_an_answer_of_any_size_is_kept_for_its_client(pair: Pair) -> None:
    answer = bytes(range(256)) * (BIG // 256)
    begun = time.perf_counter()
    pair.ours.sendall(answer)
    pair.ours.sendall(b"end")
    assert time.perf_counter() - begun < 1
    assert pair.ours.request.waited == 0
    assert pair.ours.pending > BIG // 2

    got = bytearray()
    while not pair.ours.flush():
        got += pair.theirs.recv(65536)
    got += read_all(pair.theirs, BIG + 3 - len(got))

    assert got == answer + b"end"
    assert pair.ours.pending == 0
    assert pair.ours.request.sending > 0


def test_an_answer_in_pieces_waits_for_its_client(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_socket, "MOST_PENDING", 64 * 1024)
    pieces = [bytes([number]) * 10_000 for number in range(100)]
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(read_all(pair.theirs, 1_000_000)))
    threading.Timer(0.1, reader.start).start()

    for piece in pieces:
        pair.ours.sendall(piece)
        assert pair.ours.pending < 64 * 1024 + 20_000
    while not pair.ours.flush():
        time.sleep(0.01)
    reader.join()

    assert got == [b"".join(pieces)]
    assert pair.ours.request.waited > 0.05


def test_a_stream_that_nobody_takes_is_cut_off(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_socket, "MOST_PENDING", 64 * 1024)
    begun = time.perf_counter()
    with cut_offs() as reasons, pytest.raises(BrokenPipeError):
        while time.perf_counter() - begun < 5:
            pair.ours.sendall(b"x" * 1000)

    assert reasons == ["answer"]
    assert 0.2 <= time.perf_counter() - begun < 1.5
    assert pair.ours.lost
    assert pair.ours.request.sending >= 0.2
    with pytest.raises(BrokenPipeError):
        pair.ours.sendall(b"more")


def test_events_that_nobody_takes_are_cut_off_before_they_fill_anything(pair: Pair) -> None:
    begun = time.perf_counter()
    with cut_offs() as reasons, pytest.raises(BrokenPipeError):
        while time.perf_counter() - begun < 5:
            pair.ours.sendall(b"data: tick\n\n" * 100)
            time.sleep(0.005)

    assert reasons == ["answer"]
    assert pair.ours.pending == 0


def test_a_client_that_is_gone_is_a_broken_pipe(pair: Pair) -> None:
    pair.theirs.close()
    with pytest.raises(BrokenPipeError):
        pair.ours.sendall(b"x")
    assert pair.ours.lost


def test_what_the_kernel_holds_is_not_taken_yet() -> None:
    """A client that reads slowly, out of a full buffer of the kernel, is not cut off."""
    pair = Pair(Deadlines(stall=0.3, rate=1), ends=tcp_pair())
    try:
        pair.ours.sendall(bytes(BIG))
        sent = pair.ours.pending
        for _ in range(8):
            read_all(pair.theirs, 128 * 1024)
            time.sleep(0.1)
            now = time.perf_counter()
            assert pair.ours.patience_ends_at(now) > now
        assert pair.ours.pending == sent, "all that time the kernel could take nothing more"
        time.sleep(0.4)
        now = time.perf_counter()
        assert pair.ours.patience_ends_at(now) <= now
    finally:
        pair.close()


def test_gunicorn_cannot_change_or_close_it(pair: Pair) -> None:
    pair.ours.settimeout(3)
    pair.ours.setblocking(True)
    pair.ours.shutdown(socket.SHUT_WR)
    pair.ours.close()

    assert pair.ours.gettimeout() == 0 == pair.ours.peer.gettimeout()
    pair.ours.sendall(b"still")
    assert pair.theirs.recv(10) == b"still"
    assert pair.ours.fileno() == pair.ours.peer.fileno()


def test_a_file_is_sent(pair: Pair) -> None:
    file = io.BytesIO(bytes(range(200)))
    assert pair.ours.sendfile(file, offset=10, count=50) == 50
    assert read_all(pair.theirs, 50) == bytes(range(10, 60))
    assert pair.ours.sendfile(file, offset=150) == 50


class TestTransfer:
    deadlines = Deadlines(stall=10, rate=100)

    def test_patience_ends_when_nothing_moves(self) -> None:
        transfer = Transfer()
        transfer.begin(1000)
        assert transfer.ends_at(self.deadlines) == 1010
        transfer.move(1005, 10_000)
        assert transfer.ends_at(self.deadlines) == 1015

    def test_patience_ends_when_too_little_moves(self) -> None:
        transfer = Transfer()
        transfer.begin(1000)
        transfer.move(1009, 100)
        assert transfer.ends_at(self.deadlines) == 1011
        transfer.move(1010.5, 300)
        assert transfer.ends_at(self.deadlines) == 1013

    def test_time_between_waits_is_not_the_clients(self) -> None:
        transfer = Transfer()
        transfer.begin(1000)
        assert transfer.end(1004) == 4
        transfer.begin(2000)
        assert transfer.ends_at(self.deadlines) == 2006
