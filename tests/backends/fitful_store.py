"""A door before a store of logs that hands on what it is sent, and misbehaves as it is told."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

import requests

from tests.backends.programs import free_port

_KEPT = ("Content-Type", "Content-Encoding")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_arguments: object) -> None:
        """Say nothing of clients that have gone."""


class FitfulStore:
    """Hands requests on to `target`, with headers of its own.

    Whatever it does beside that, a request that came in whole is handed on first, unless it is
    `busy` or `dead`: so what the sender gets no answer to has arrived.
    """

    def __init__(self, target: str, headers: dict[str, str]) -> None:
        self._target = target
        self._headers = headers
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1/logs"
        self.requests = 0
        self.longest = 0
        """Bytes of the largest body."""
        self._faults: list[Callable[[BaseHTTPRequestHandler], bool]] = []
        self._one = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self.revive()

    def die(self) -> None:
        """Refuse connections from now on, behind the request that is here now."""
        with self._one:
            server, self._server = self._server, None
        if server is None or self._thread is None:
            return
        server.shutdown()
        self._thread.join()
        # Who has connected is served: nobody is to be in doubt of what never came in.
        server.socket.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                connection, address = server.socket.accept()
                connection.setblocking(True)
                server.process_request(connection, address)
        server.server_close()

    def revive(self) -> None:
        """Undo `die`."""
        store = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10.0

            def do_POST(self) -> None:
                store._take(self)

            def log_message(self, *_arguments: object) -> None:
                pass

        server = _Server(("127.0.0.1", self.port), Handler)
        self._thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        self._thread.start()
        self._server = server

    def lose(self, times: int) -> None:
        """Answer nothing to so many requests."""
        self._faults += [lambda handler: True] * times

    def dawdle(self, seconds: float) -> None:
        """Answer the next request after so long."""

        def dawdle(_handler: BaseHTTPRequestHandler) -> bool:
            time.sleep(seconds)
            return False

        self._faults.append(dawdle)

    def be_busy(self, after: int) -> None:
        """Ask with the next request to come again after so many seconds; it is not handed on."""

        def busy(handler: BaseHTTPRequestHandler) -> bool:
            handler.send_response(503)
            handler.send_header("Retry-After", str(after))
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return True

        busy.first = True  # type: ignore[attr-defined]
        self._faults.append(busy)

    def call(self, act: Callable[[], None]) -> None:
        """Do this once the next request has been handed on, and do not answer."""

        def called(_handler: BaseHTTPRequestHandler) -> bool:
            act()
            return True

        self._faults.append(called)

    @property
    def is_calm(self) -> bool:
        """Whether nothing that it was told is left to be done."""
        return not self._faults

    def _take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        with self._one:
            fault = self._faults.pop(0) if self._faults else None
            if getattr(fault, "first", False) and fault is not None:
                fault(handler)
                return
            self.requests += 1
            self.longest = max(self.longest, len(body))
            answer = self._hand_on(body, handler)
        if fault is None or not fault(handler):
            handler.send_response(answer.status_code)
            handler.send_header("Content-Length", str(len(answer.content)))
            handler.end_headers()
            handler.wfile.write(answer.content)

    def _hand_on(self, body: bytes, handler: BaseHTTPRequestHandler) -> requests.Response:
        kept = {name: handler.headers[name] for name in _KEPT if name in handler.headers}
        with requests.Session() as session:
            session.trust_env = False
            return session.post(
                self._target, data=body, headers={**self._headers, **kept}, timeout=30
            )

    def __enter__(self) -> "FitfulStore":
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.die()
