"""A Docker Engine that fails on demand, over a unix socket or TCP.

The real engine is used wherever it can act the case out; this one acts out what it does not do
when asked. It knows nothing of containers: every path gets the same small answer.
"""

import json
import socketserver
import threading
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, cast


class Failure(Enum):
    """How the engine fails; named after what the caller sees."""

    NONE = auto()
    HUNG = auto()  # accepts, never answers
    HANGING_UP = auto()  # accepts, closes without an answer
    HEADERS_ONLY = auto()  # headers, then nothing
    TRICKLING = auto()  # a byte now and then: no single read times out
    TRUNCATED = auto()  # half a body, then closes
    GARBAGE = auto()  # a whole answer that is not JSON
    OTHER_JSON = auto()  # JSON of another shape
    FAULT = auto()  # 500 with Docker's error body
    FOREIGN_FAULT = auto()  # 500 with somebody else's error body
    SLOW_NEGOTIATION = auto()  # only GET /version hangs
    HUNG_EXEC_STREAM = auto()  # an exec starts and never says anything


_WRONG_ANSWERS = {
    Failure.GARBAGE: (200, b"<html>not an engine</html>"),
    Failure.OTHER_JSON: (200, b'["not an engine"]'),
    Failure.FAULT: (500, b'{"message": "secret-driver-text"}'),
    Failure.FOREIGN_FAULT: (500, b'["secret-driver-text"]'),
}
_REQUEST_SECONDS = 10.0


class _Joined(socketserver.ThreadingMixIn):
    daemon_threads = False  # so that close joins them: a leaked thread fails the test
    engine: "FakeEngine"


class _UnixServer(_Joined, socketserver.UnixStreamServer):
    pass


class _TcpServer(_Joined, socketserver.TCPServer):
    pass


class FakeEngine:
    """Serves at `host` until closed; `failure` and the versions may change at any time."""

    def __init__(self, directory: Path, *, tcp: bool = False) -> None:
        self.failure = Failure.NONE
        self.newest_version = "1.41"
        self.oldest_version = "1.12"
        self.asked: list[str] = []
        self.answers: dict[str, tuple[int, Any]] = {}  # end of a path -> status and body
        self.closing = threading.Event()
        self._server: _UnixServer | _TcpServer
        if tcp:
            self._server = _TcpServer(("127.0.0.1", 0), _Handler)
            self.host = f"tcp://127.0.0.1:{self._server.server_address[1]}"
        else:
            path = str(directory / "docker.sock")
            self._server = _UnixServer(path, _Handler)
            self.host = f"unix://{path}"
        self._server.engine = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        """Let go of every caller and stop."""
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer_to(self, path: str) -> tuple[int, Any]:
        """Return status and body for a request that is not made to fail."""
        version = path.split("/")[1].removeprefix("v")
        if path == "/version":
            return 200, {"ApiVersion": self.newest_version, "MinAPIVersion": self.oldest_version}
        if not _number(self.oldest_version) <= _number(version) <= _number(self.newest_version):
            return 400, {"message": f"client version {version} is not supported"}
        for end, answer in self.answers.items():
            if path.endswith(end):
                return answer
        return 200, {"Id": "0" * 64}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 0.02  # how long a kept-alive connection takes to see that the server closes

    @property
    def engine(self) -> FakeEngine:
        return cast(_Joined, self.server).engine

    def handle(self) -> None:
        """Serve requests until the caller hangs up or the engine closes."""
        self.close_connection = True
        while not self.engine.closing.is_set():
            try:
                if not self.connection.recv(1, 0x2):  # MSG_PEEK
                    return
            except TimeoutError:
                continue
            except OSError:
                return
            self.connection.settimeout(_REQUEST_SECONDS)  # its body may come a moment later
            self.handle_one_request()
            self.connection.settimeout(self.timeout)
            if self.close_connection:
                return

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer, or fail as told."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.split("?")[0]
        self.engine.asked.append(path)
        failure = self.engine.failure
        if failure is Failure.SLOW_NEGOTIATION:
            failure = Failure.HUNG if path == "/version" else Failure.NONE
        if failure is Failure.HUNG_EXEC_STREAM:
            failure = Failure.HEADERS_ONLY if path.endswith("/start") else Failure.NONE
        try:
            self._fail(failure, path)
        except OSError:
            self.close_connection = True

    do_POST = do_PUT = do_DELETE = do_GET

    def _fail(self, failure: Failure, path: str) -> None:
        match failure:
            case Failure.NONE:
                self._answer(path)
            case Failure.HUNG:
                self._wait()
            case Failure.HANGING_UP:
                self.close_connection = True
            case Failure.HEADERS_ONLY:
                self._head(200, 1000)
                self._wait()
            case Failure.TRICKLING:
                self._trickle()
            case Failure.TRUNCATED:
                self._head(200, 1000)
                self.wfile.write(b'{"Id": "0')
                self.close_connection = True
            case _:
                self._send(*_WRONG_ANSWERS[failure])

    def _trickle(self) -> None:
        self._head(200, 100_000)
        while not self.engine.closing.wait(0.02):
            self.wfile.write(b" ")
        self.close_connection = True

    def _answer(self, path: str) -> None:
        if path.endswith("/_ping"):
            return self._send(200, b"OK")
        status, body = self.engine.answer_to(path)
        return self._send(status, json.dumps(body).encode())

    def _wait(self) -> None:
        self.engine.closing.wait()
        self.close_connection = True

    def _head(self, status: int, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.flush()

    def _send(self, status: int, body: bytes) -> None:
        self._head(status, len(body))
        self.wfile.write(body)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
