"""Clients who behave: probes, scrapes, and people who ask one thing after another."""

import http.client
import statistics
import threading
import time
from collections import Counter
from typing import Any

from tests.backends import http as plain
from tests.backends.web import WebServer


class Probes:
    """Probes and scrapes, each on a connection of its own, as they are."""

    PATHS = ("/health/live", "/health", "/health/ready", "/health/metrics")

    def __init__(self, server: WebServer) -> None:
        self.seconds: dict[str, list[float]] = {path: [] for path in self.PATHS}
        self.failed: list[str] = []
        self._server = server
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(path,)) for path in self.PATHS]

    def __enter__(self) -> "Probes":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_details: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, path: str) -> None:
        while not self._stop.wait(0.05 if path != "/health/metrics" else 0.25):
            begun = time.perf_counter()
            try:
                response = plain.get(f"{self._server.url}{path}", timeout=10)
            except OSError as error:
                self.failed.append(f"{path}: {error!r}")
                continue
            self.seconds[path].append(time.perf_counter() - begun)
            # Without Docker it is not ready; that it is told is what counts.
            if response.status_code != (503 if path == "/health/ready" else 200):
                self.failed.append(f"{path}: {response.status_code}")


class Behaved:
    """Clients who behave: one request after the other, over connections that they keep."""

    NUMBER = 6

    def __init__(self, server: WebServer, token: str) -> None:
        self.outcomes: Counter[str] = Counter()
        self.seconds: list[float] = []
        self._port = server.port
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(self.NUMBER)]

    def __enter__(self) -> "Behaved":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_details: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        asked: list[tuple[str, str, Any]] = [
            ("GET", "/api/v1/auth/me", None),
            ("GET", "/api/v1/environments?limit=5", None),
            ("POST", "/api/v1/environments", "{}"),
        ]
        number = 0
        while not self._stop.wait(0.05):
            self._ask(connection, *asked[number % len(asked)])
            number += 1
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection, *request: Any) -> None:
        for attempt in (1, 2):
            reused = connection.sock is not None
            begun = time.perf_counter()
            try:
                method, path, body = request
                connection.request(method, path, body, self._headers)
                response = connection.getresponse()
                response.read()
            except (http.client.HTTPException, OSError) as error:
                connection.close()
                # A connection that was idle may have been closed: RFC 9112 (9.3.1) says try again.
                if reused and attempt == 1:
                    continue
                self.outcomes[repr(error)] += 1
                return
            self.seconds.append(time.perf_counter() - begun)
            self.outcomes[f"{request[0]} {response.status}"] += 1
            return


def percentile(found: list[float], share: float) -> float:
    return statistics.quantiles(found, n=1000, method="inclusive")[round(share * 1000) - 1]
