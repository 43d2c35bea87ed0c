"""A registry whose layers never end: each brings a few bytes a second."""

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

SIZE = 50 * 2**20
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class DrippingRegistry:
    """Serves one image, `image`, of so many layers; `open` are the layers that drip now."""

    def __init__(self, layers: int = 3, rate: int = 100) -> None:
        self.open = 0
        self.rate = rate
        self._lock = threading.Lock()
        self._config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [_some_digest() for _ in range(layers)]},
            }
        ).encode()
        self._manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": {
                    "mediaType": "application/vnd.docker.container.image.v1+json",
                    "size": len(self._config),
                    "digest": _digest(self._config),
                },
                "layers": [
                    {
                        "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                        "size": SIZE,
                        "digest": _some_digest(),
                    }
                    for _ in range(layers)
                ],
            }
        ).encode()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.image = f"127.0.0.1:{self._server.server_port}/drip:1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                if self.path == "/v2/":
                    self._answer(b"")
                elif "/manifests/" in self.path:
                    self._answer(registry._manifest, _MANIFEST)
                elif self.path.endswith(_digest(registry._config)):
                    self._answer(registry._config)
                else:
                    registry._drip(self)

            def _answer(self, body: bytes, kind: str = "application/octet-stream") -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Docker-Content-Digest", _digest(body))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def log_message(self, *_details: Any) -> None:
                """Say nothing."""

        return Handler

    def _drip(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(SIZE))
        handler.end_headers()
        self._count(1)
        try:
            while True:
                handler.wfile.write(b"\x1f" * max(1, self.rate // 10))
                handler.wfile.flush()
                time.sleep(0.1)
        except OSError:
            handler.close_connection = True
        finally:
            self._count(-1)

    def _count(self, number: int) -> None:
        with self._lock:
            self.open += number


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _some_digest() -> str:
    return _digest(uuid4().bytes)
