"""Stopping and reloading under load: nothing that was accepted is lost."""

import http.client
import json
import shutil
import signal
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.backends.http import get as http_get
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import wait_until
from tests.backends.web import ROOT, WebServer
from tests.conftest import WebServerFactory
from tests.end_to_end.api import Api
from tests.sizes import size

pytestmark = pytest.mark.end_to_end

PATH = "/api/v1/auth/me"
CLIENTS = 8
PAUSE = size(0.01, 0.0)
"""Between the requests of a client: at each moment there are some on their way."""
RESET = "lost: ConnectionResetError"


class Load:
    """Clients that send requests one after another, and note how each ended.

    `kept_alive` ones reuse their connection, as a proxy does; a request on a connection that the
    server closed before reading it is sent again, as RFC 9112 (9.3.1) has clients do.
    """

    def __init__(self, port: int, *, kept_alive: bool) -> None:
        self.outcomes: Counter[str] = Counter()
        self._port = port
        self._kept_alive = kept_alive
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._client) for _ in range(CLIENTS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_details: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _client(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._stop.is_set():
            self.outcomes[self._one(connection)] += 1
            if not self._kept_alive:
                connection.close()
            time.sleep(PAUSE)
        connection.close()

    def _one(self, connection: http.client.HTTPConnection) -> str:
        fresh = connection.sock is None
        try:
            connection.connect() if fresh else None
        except OSError:
            connection.close()
            time.sleep(0.01)
            return "not accepted"
        try:
            connection.request("GET", PATH)
            response = connection.getresponse()
            response.read()
            return str(response.status)
        except (http.client.RemoteDisconnected, ConnectionError) as error:
            connection.close()
            return f"lost: {type(error).__name__}" if fresh else "closed while idle"


@pytest.fixture
def server(web_server: WebServerFactory) -> WebServer:
    return web_server(workers=2)


@pytest.mark.parametrize("kept_alive", size([True], [True, False]), ids=str)
def test_reload_under_load_fails_no_request(server: WebServer, kept_alive: bool) -> None:
    with Load(server.port, kept_alive=kept_alive) as load:
        for _ in range(size(1, 3)):
            old = server.worker_pids()
            time.sleep(0.5)
            server.signal(signal.SIGHUP)
            wait_until(partial(replaced, server, old), 20)
        time.sleep(0.5)

    print(load.outcomes)
    assert set(load.outcomes) <= {"401", "closed while idle"}
    assert load.outcomes["401"] > 100
    assert server.metric("vibebox_active_connections") == 0


def test_reload_takes_up_new_code(web_server: WebServerFactory, tmp_path: Path) -> None:
    root = tmp_path / "release"
    shutil.copytree(ROOT / "app", root / "app")
    shutil.copy(ROOT / "gunicorn.conf.py", root)
    server = web_server(root=root)
    before = http_get(f"{server.url}/health").json()["version"]
    (root / "app" / "_version.py").write_text('__version__ = "99.0"\n')
    old = server.worker_pids()

    server.signal(signal.SIGHUP)
    wait_until(partial(replaced, server, old), 20)

    assert http_get(f"{server.url}/health").json()["version"] == "99.0" != before
    assert server.metric("vibebox_build_info", version="99.0") == 1


def replaced(server: WebServer, old: list[int]) -> bool:
    """Tell whether none of the old workers is left, and new ones are there."""
    now = server.worker_pids()
    return bool(now) and not set(old) & set(now)


def test_counts_survive_a_reload(server: WebServer) -> None:
    def counted() -> float:
        return server.metric("vibebox_http_requests_total", route="unmatched", method="GET")

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    for _ in range(20):
        connection.request("GET", "/nothing")
        connection.getresponse().read()
    connection.close()
    assert counted() == 20
    old = server.worker_pids()

    server.signal(signal.SIGHUP)
    wait_until(partial(replaced, server, old), 20)

    assert counted() == 20


@pytest.mark.parametrize("kept_alive", size([True], [True, False]), ids=str)
def test_termination_under_load_loses_no_accepted_request(
    server: WebServer, kept_alive: bool
) -> None:
    with Load(server.port, kept_alive=kept_alive) as load:
        time.sleep(1)
        assert server.terminate() == 0
        time.sleep(0.2)

    print(load.outcomes)
    answered = load.outcomes["401"]
    logged = sum(line.get("route") == PATH for line in server.log_lines())
    # Each request that a worker took up is in its log, and each of those was answered.
    assert logged == answered > 100
    # What still waited in the kernel's queue when the listening socket closed was never accepted
    # by a worker: the client sees a reset and may send it again.
    assert set(load.outcomes) <= {"401", "not accepted", "closed while idle", RESET}


def test_a_slow_request_is_finished_after_termination(
    web_server: WebServerFactory, postgresql: PostgreSQL
) -> None:
    server = web_server({"DATABASE_URL": postgresql.new_database()})
    with Api(server.url) as api:
        api.register("ada@example.org")
        api.login("ada@example.org")
        statuses: list[int] = []

        def ask() -> None:
            statuses.append(api.call("GET", "/environments").status_code)

        thread = threading.Thread(target=ask)
        postgresql.suspend()
        thread.start()
        wait_until(lambda: server.metric("vibebox_active_connections") == 1, 10)
        server.signal(signal.SIGTERM)
        time.sleep(0.5)
        postgresql.resume()
        thread.join()

    assert statuses == [200]
    assert server.wait_ended() == 0


def test_readiness_on_an_open_connection_says_draining(server: WebServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/health/ready")
    connection.getresponse().read()

    server.signal(signal.SIGTERM)
    time.sleep(0.3)
    connection.request("GET", "/health/ready")
    response = connection.getresponse()

    assert response.status == 503
    assert json.loads(response.read())["status"] == "draining"
    connection.close()
    assert server.wait_ended() == 0
