"""Where Alertmanager sends: an HTTP server that remembers what it was told."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.backends.programs import free_port


class Receiver:
    """Takes webhooks at /<name of a receiver>.

    Attributes: told (receiver, status and name of each alert, in order), alerts (the whole of the
    last one of each name).
    """

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []
        self.alerts: dict[str, dict[str, Any]] = {}
        told, alerts = self.told, self.alerts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver = self.path.strip("/")
                for alert in body["alerts"]:
                    name = alert["labels"]["alertname"]
                    told.append((receiver, alert["status"], name))
                    alerts[name] = alert
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self._server.daemon_threads = False  # joined at the end
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_details: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def names(self, receiver: str, status: str) -> set[str]:
        """Return the alerts that this receiver was told of with this status."""
        return {name for whom, what, name in list(self.told) if (whom, what) == (receiver, status)}
