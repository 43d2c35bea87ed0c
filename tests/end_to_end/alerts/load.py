"""Clients that call again and again, each in a thread of its own."""

import http.client
import json
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any


class Load(AbstractContextManager["Load"]):
    """Calls `once` from so many threads until the block ends, `pause` seconds apart.

    What `once` raises ends nothing: the service may be down on purpose.
    """

    def __init__(self, once: Callable[[], Any], clients: int = 1, pause: float = 0.0) -> None:
        self.calls = 0
        self._once = once
        self._pause = pause
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._once()
            except (OSError, http.client.HTTPException):
                self._over.wait(0.05)
            self.calls += 1
            self._over.wait(self._pause)

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_details: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


class Caller:
    """Sends single requests, with the token if there is one, from an address of this host."""

    def __init__(
        self,
        port: int,
        token: str | None = None,
        timeout: float = 30,
        source: str = "127.0.0.1",
    ) -> None:
        self._port = port
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._timeout = timeout
        self._source = (source, 0)

    def call(self, method: str, path: str, body: Any = None) -> int:
        """Send one request on a connection of its own and return the status."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._port, timeout=self._timeout, source_address=self._source
        )
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, self._headers)
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()
