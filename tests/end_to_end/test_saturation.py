"""A service whose every request thread is held still answers probes and scrapes."""

import http.client
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.conftest import WebServerFactory
from tests.end_to_end.api import Api
from tests.services import http as plain
from tests.services.postgresql import PostgreSQL
from tests.services.programs import wait_until
from tests.services.web import WebServer

pytestmark = pytest.mark.end_to_end

WORKERS, THREADS = 1, 4
HELD = 3 * WORKERS * THREADS
PROBES = 100


@contextmanager
def every_thread_held(server: WebServer, postgresql: PostgreSQL, token: str) -> Iterator[None]:
    """Suspend the database under more requests than there are threads."""
    headers = {"Authorization": f"Bearer {token}"}

    def hold(_: int) -> int:
        url = f"{server.url}/api/v1/auth/me"
        return plain.get(url, headers=headers, timeout=60).status_code

    postgresql.suspend()
    with ThreadPoolExecutor(HELD) as pool:
        waiting = [pool.submit(hold, number) for number in range(HELD)]
        active = "vibebox_active_connections"
        wait_until(lambda: server.metric(active) >= WORKERS * THREADS, 10)
        try:
            yield
        finally:
            postgresql.resume()
        assert {done.result() for done in waiting} <= {200, 503}


def probe_times(port: int, path: str) -> list[float]:
    """Return the seconds of each probe, each on a connection of its own, as probes are."""
    times = []
    for _ in range(PROBES):
        started = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path)
        assert connection.getresponse().status == 200
        connection.close()
        times.append(time.perf_counter() - started)
    return sorted(times)


def test_probes_and_scrapes_are_not_starved(
    web_server: WebServerFactory, postgresql: PostgreSQL
) -> None:
    server = web_server(
        {"DATABASE_URL": postgresql.new_database()}, workers=WORKERS, threads=THREADS
    )
    with Api(server.url) as api:
        api.register("ada@example.org")
        token = api.login("ada@example.org").json()["access_token"]

    with every_thread_held(server, postgresql, token):
        live = probe_times(server.port, "/health/live")

    print(f"live p50 {live[PROBES // 2] * 1000:.1f} ms, p99 {live[-2] * 1000:.1f} ms")
    # Behind the held threads a probe would wait for seconds.
    assert live[-2] < 0.5


def test_silent_connections_do_not_starve_probes(web_server: WebServerFactory) -> None:
    server = web_server(workers=1, threads=2)
    silent = [http.client.HTTPConnection("127.0.0.1", server.port) for _ in range(6)]
    for connection in silent:
        connection.connect()
    try:
        assert probe_times(server.port, "/health/live")[-2] < 0.5
    finally:
        for connection in silent:
            connection.close()
