"""An exchange ends exactly once, whatever becomes of its response."""

import io
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from flask import Flask, Response, request, send_file
from flask.typing import ResponseReturnValue
from werkzeug.test import create_environ

from app.web.gunicorn_worker.served import ServedRequest
from prefork_metrics.exchange import SOCKET, Exchange
from prefork_metrics.flask import current, observe


class House:
    """An application with a route for each kind of response, and what its exchanges told."""

    def __init__(self) -> None:
        self.app = Flask("house", static_folder=None)
        self.exchanges = observe(self.app)
        self.started: list[Exchange] = []
        self.finished: list[Exchange] = []
        self.exchanges.on_start.append(self.started.append)
        self.exchanges.on_finish.append(self.finished.append)
        self.closed: list[str] = []
        for path, view in VIEWS.items():
            self.app.add_url_rule(f"/{path}", path, view)

    def call(self, path: str, method: str = "GET", peer: Any = None) -> Iterable[bytes]:
        """Call the application as a WSGI server does, and return the body unread."""
        environ = create_environ(path, method=method)
        if peer is not None:
            environ[SOCKET] = peer
        return self.app(environ, lambda *_: io.BytesIO().write)

    def serve(self, path: str, method: str = "GET") -> bytes:
        """Read the whole body and close it, also where reading fails."""
        body = self.call(path, method)
        try:
            return b"".join(body)
        finally:
            body.close()  # type: ignore[attr-defined]

    def only(self) -> Exchange:
        """Return the one exchange that started and ended."""
        (started,), (finished,) = self.started, self.finished
        assert started is finished
        return finished


def _failing() -> Iterator[bytes]:
    yield b"one"
    raise RuntimeError("in the middle")


def _failing_at_once() -> Iterator[bytes]:
    raise RuntimeError("at once")
    yield b""


def _lasting() -> ResponseReturnValue:
    current().lasts()
    return "at last"


def _raise() -> ResponseReturnValue:
    raise RuntimeError("in the view")


def _stream() -> ResponseReturnValue:
    return Response(iter([b"one", b"two"]), 202)


class _Upgrade(Response):
    """A response that becomes a WebSocket; werkzeug would leave its body out."""

    def get_app_iter(self, environ: Any) -> Iterable[bytes]:
        body: Iterable[Any] = self.response
        return iter(body)


VIEWS: dict[str, Callable[[], ResponseReturnValue]] = {
    "plain": lambda: "hello",
    "empty": lambda: ("", 204),
    "stream": _stream,
    "failing-stream": lambda: Response(_failing(), 200),
    "failing-at-once": lambda: Response(_failing_at_once(), 200),
    "lasting": lambda: _lasting(),
    "file": lambda: send_file(io.BytesIO(b"content"), "text/plain"),
    "passthrough": lambda: Response(io.BytesIO(b"raw"), 200, direct_passthrough=True),
    "raise": _raise,
    "upgrade": lambda: _Upgrade(iter([b"", b"later"]), 101),
}


@pytest.fixture
def house() -> House:
    return House()


@pytest.mark.parametrize(
    ("path", "method", "status", "body"),
    [
        ("/plain", "GET", 200, b"hello"),
        ("/plain", "HEAD", 200, b""),
        ("/plain", "OPTIONS", 200, b""),
        ("/empty", "GET", 204, b""),
        ("/stream", "GET", 202, b"onetwo"),
        ("/stream", "HEAD", 202, b""),
        ("/file", "GET", 200, b"content"),
        ("/passthrough", "GET", 200, b"raw"),
    ],
)
def test_exchange_ends_once(house: House, path: str, method: str, status: int, body: bytes) -> None:
    assert house.serve(path, method) == body

    exchange = house.only()
    assert (exchange.method, exchange.route, exchange.status) == (method, path, status)
    assert exchange.seconds > 0
    assert not exchange.unhandled


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/nowhere", "GET", 404), ("/plain", "PUT", 405)]
)
def test_path_that_no_rule_matches_is_unmatched(
    house: House, path: str, method: str, status: int
) -> None:
    house.serve(path, method)

    assert (house.only().route, house.only().status) == ("unmatched", status)


def test_streamed_exchange_lasts_until_its_body_is_closed(house: House) -> None:
    body = house.call("/stream")
    assert list(body) == [b"one", b"two"]
    assert house.finished == []

    body.close()  # type: ignore[attr-defined]

    assert house.only().status == 202


def test_stream_that_raises_before_its_first_byte_is_a_500(house: House) -> None:
    with pytest.raises(RuntimeError, match="at once"):
        house.serve("/failing-at-once")

    assert (house.only().status, house.only().unhandled) == (500, True)


def test_answer_that_the_server_does_not_take_is_a_500(house: House) -> None:
    def strict(_status: str, _headers: Any, _exc_info: Any = None) -> Any:
        raise ValueError("no such header")

    with pytest.raises(ValueError, match="no such header"):
        house.app(create_environ("/plain"), strict)

    assert (house.only().status, house.only().unhandled) == (500, True)


class FakeSocket:
    """What our worker hands over, as far as an exchange looks at it."""

    def __init__(self, waited_for_thread: float) -> None:
        self.request = ServedRequest(time.perf_counter() - waited_for_thread)


def test_time_is_the_wait_for_a_thread_and_the_work_without_the_clients(house: House) -> None:
    peer = FakeSocket(2.0)
    body = house.call("/plain", peer=peer)
    assert peer.request.seen
    peer.request.waited = 1.5
    body.close()  # type: ignore[attr-defined]

    exchange = house.only()
    assert 2.0 <= exchange.queued < 2.4
    assert exchange.client_seconds == 1.5
    assert 0.5 <= exchange.seconds < 0.9


def test_failed_request_leaves_its_id_to_the_server(house: House) -> None:
    peer = FakeSocket(0.0)
    body = house.call("/failing-at-once", peer=peer)
    body.request_id = "its-id"  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError):
        list(body)
    assert peer.request.request_id == "its-id"


def test_websocket_and_what_says_so_last_by_design(house: House) -> None:
    for path, lasts in (("/upgrade", True), ("/lasting", True), ("/plain", False)):
        peer = FakeSocket(0.0)
        house.call(path, peer=peer)
        assert peer.request.lasting is lasts, path


def test_stream_that_raises_ends_once_with_its_intended_status(house: House) -> None:
    with pytest.raises(RuntimeError, match="in the middle"):
        house.serve("/failing-stream")

    assert house.only().status == 200


@pytest.mark.parametrize("path", ["/plain", "/stream", "/file", "/passthrough"])
@pytest.mark.parametrize("chunks", [0, 1])
def test_aborted_exchange_ends_once(house: House, path: str, chunks: int) -> None:
    body = house.call(path)
    for _ in zip(range(chunks), body, strict=False):
        pass
    body.close()  # type: ignore[attr-defined]

    assert house.only().route == path


def test_closing_again_changes_nothing(house: House) -> None:
    body = house.call("/plain")
    for _ in range(3):
        body.close()  # type: ignore[attr-defined]

    assert len(house.finished) == 1


def test_unhandled_exception_is_a_500_and_noted(house: House) -> None:
    house.serve("/raise")

    assert (house.only().status, house.only().unhandled) == (500, True)


def test_application_that_raises_ends_its_exchange(house: House) -> None:
    house.app.config["PROPAGATE_EXCEPTIONS"] = True

    with pytest.raises(RuntimeError, match="in the view"):
        house.call("/raise")

    assert (house.only().status, house.only().unhandled) == (500, True)


def test_failure_outside_of_flask_ends_the_exchange_that_never_started() -> None:
    house = House()

    def broken(_environ: Any, _start: Any) -> Iterable[bytes]:
        raise RuntimeError("before Flask")

    house.exchanges._application = broken

    with pytest.raises(RuntimeError, match="before Flask"):
        house.call("/plain")

    (exchange,) = house.finished
    assert (exchange.route, exchange.status, exchange.unhandled) == ("unmatched", 500, True)


def test_body_whose_closing_fails_ends_its_exchange(house: House) -> None:
    class Stubborn:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"x"])

        def close(self) -> None:
            raise OSError("will not close")

    house.exchanges._application = lambda _environ, _start: Stubborn()

    with pytest.raises(OSError, match="will not close"):
        house.serve("/plain")

    assert len(house.finished) == 1


@pytest.mark.parametrize("moment", ["on_start", "on_finish"])
def test_subscriber_that_raises_never_fails_the_request(
    house: House, moment: str, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_exchange: Exchange) -> None:
        raise RuntimeError("broken subscriber")

    getattr(house.exchanges, moment).insert(0, broken)

    assert house.serve("/plain") == b"hello"
    assert len(house.finished) == 1
    assert "broken subscriber" in caplog.text


def test_late_failure_of_a_hook_is_a_500(house: House) -> None:
    @house.app.after_request
    def broken(response: Response) -> Response:
        if request.path == "/plain" and response.status_code == 200:
            raise RuntimeError("late")
        return response

    house.serve("/plain")

    assert (house.only().status, house.only().unhandled) == (500, True)


def test_exchange_is_over_once_it_becomes_a_websocket(house: House) -> None:
    body = house.call("/upgrade")

    exchange = house.only()
    assert (exchange.status, exchange.route) == (101, "/upgrade")
    assert list(body) == [b"", b"later"], "the server goes on asking"
    body.close()  # type: ignore[attr-defined]
    assert house.only() is exchange
