"""What the synthetic user says of a refusal, and of answers that are none of VibeBox's."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from app.core.errors import VibeBoxError
from app.domain.probe.account import Credentials
from app.probing import visit
from app.probing.failure import Target
from app.probing.steps import Steps
from app.probing.visit import Visit

OF_FLASK = {"not-found"}
# What no database takes, and no more of it than an operator reads.
LONG = b'{"title": "Odd \\u0000", "detail": "' + b"x" * 100_000 + b'\\ud800"}'
WHO = Credentials("1", "probe@vibebox.invalid", "secret")


class Stranger(ThreadingHTTPServer):
    """Answers everything with `status` and `body`."""

    daemon_threads = True
    status, body = 200, b""


class _Handler(BaseHTTPRequestHandler):
    server: Stranger

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.server.status)
        if self.server.status == 400:
            self.send_header("Content-Type", "application/problem+json")
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    do_GET = do_POST

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    server = Stranger(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def kinds(kind: type[VibeBoxError] = VibeBoxError) -> Iterator[type[VibeBoxError]]:
    yield kind
    for more in kind.__subclasses__():
        yield from kinds(more)


def test_next_steps_are_of_problems_that_there_are() -> None:
    slugs = {kind.slug for kind in kinds()}
    assert set(visit._REFUSED) - slugs == OF_FLASK


@pytest.mark.parametrize(
    ("status", "body", "says", "step"),
    [
        (502, b"<html>", "answers 502: nobody answers it", "whether the web server runs"),
        (200, b"<html>", "is not VibeBox", "VIBEBOX_PROBE_URL"),
        (301, b"", "with status 301, is not VibeBox", "VIBEBOX_PROBE_URL"),
        (200, b'{"unexpected": true}', "not as VibeBox answers", "what the proxy sends"),
        (200, b"[]", "not as VibeBox answers", "what the proxy sends"),
        (200, b"", "not as VibeBox answers", "what the proxy sends"),
        (400, b"[]", "not as VibeBox answers", "what the proxy sends"),
        (400, b"[" * 100_000, "not as VibeBox answers", "what the proxy sends"),
        (400, LONG, "The service refuses: Odd ?: xxx", "vibebox doctor"),
    ],
)
def test_answer_of_somebody_else(
    stranger: Stranger, status: int, body: bytes, says: str, step: str
) -> None:
    stranger.status, stranger.body = status, body
    target = Target(f"http://127.0.0.1:{stranger.server_address[1]}", "busybox")
    found = Visit(target, WHO, Steps(5, 10, lambda: False)).run()
    assert found.step == "sign_in" and says in (found.says or "")
    assert step in (found.next_step or "") and len(found.says or "") < 700


@pytest.mark.parametrize("token", ["good", "a\\nb"])
def test_answer_that_is_odd_again_while_it_tidies_up(stranger: Stranger, token: str) -> None:
    stranger.body = f'{{"access_token": "{token}"}}'.encode()
    target = Target(f"http://127.0.0.1:{stranger.server_address[1]}", "busybox")
    found = Visit(target, WHO, Steps(5, 10, lambda: False)).run()
    assert found.step == "sweep" and "not as VibeBox answers" in (found.says or "")
