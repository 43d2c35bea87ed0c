"""Somebody who answers in the service's place."""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Stranger(ThreadingHTTPServer):
    """Answers everything with `status` and `body`.

    Where the path has `refused_path` in it, the problem `refusal` is the answer; `meanwhile`
    happens before each.
    """

    daemon_threads = True
    status, body = 200, b""
    refused_path, refusal = "/nothing", b""
    meanwhile: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Stranger

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.meanwhile()
        if self.server.refused_path in self.path:
            self._answer(400, self.server.refusal)
        else:
            self._answer(self.server.status, self.server.body)

    do_GET = do_POST

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if status in (400, 401):
            self.send_header("Content-Type", "application/problem+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
