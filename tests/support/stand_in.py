"""A stand-in for a store that is asked over HTTP: answers by path, and notes what it was asked."""

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Answer = Callable[[Mapping[str, str]], Any]
"""Takes the parameters of a question; returns JSON, or bytes as they are."""


class StandIn(ThreadingHTTPServer):
    """Answers with `status` and what `answers` has for the path; `asked` and `headers` are noted.

    `drips`: sends a byte of the answer now and then, and never all of it.
    """

    daemon_threads = True

    def __init__(self, answers: Mapping[str, Answer] | None = None) -> None:
        self.answers = dict(answers or {})
        self.status = 200
        self.drips = False
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.headers: list[dict[str, str]] = []
        self.closing = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def close(self) -> None:
        """End it."""
        self.closing.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        parameters = dict(parse_qsl(parts.query))
        self.server.asked.append((parts.path, parameters))
        self.server.headers.append(dict(self.headers))
        answer = self.server.answers.get(parts.path)
        body = b"" if answer is None else _bytes(answer(parameters))
        with suppress(OSError):
            self._answer(404 if answer is None else self.server.status, body)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        while self.server.drips and not self.server.closing.wait(0.05):
            self.wfile.write(b" ")
            self.wfile.flush()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _bytes(answer: Any) -> bytes:
    return answer if isinstance(answer, bytes) else json.dumps(answer).encode()
