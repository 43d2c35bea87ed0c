"""Logs over WebSockets: one reader at Docker, any number of viewers, each line once for each."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from app.storage import DurableCounter
from app.web.websockets.polling_hub import PAUSE
from tests.backends.agent import Agent
from tests.backends.docker_engine import DockerEngine
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import wait_until
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory
from tests.end_to_end.api import Api
from tests.end_to_end.sockets import PATIENCE, fill, opened, refused
from tests.engine.images import commit

COUNTER = DurableCounter.LOG_ENTRIES

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]

VIEWERS, WORKERS = 20, 2
"""An account may have ten of a worker's sockets: the viewers are spread, ten and ten."""

FIRST, LINES = 150, 300
"""Lines before anybody looks, and at the end."""

SCRIPT = f"""
seq {FIRST} | sed 's/^/line /'
until [ -e /tmp/go ]; do sleep 0.05; done
seq {FIRST + 1} {LINES} | sed 's/^/line /'
sleep 1000
"""


@pytest.fixture
def server(
    web_server: WebServerFactory, docker_engine: DockerEngine, postgresql: PostgreSQL
) -> Iterator[WebServer]:
    env = {
        "DOCKER_HOST": docker_engine.host,
        "DATABASE_URL": postgresql.new_database(),
        "VIBEBOX_STOP_GRACE": "0",
        "VIBEBOX_WEBSOCKETS": str(VIEWERS),
    }
    yield web_server(env, workers=WORKERS)
    docker_engine.clear()


def take(socket: ClientConnection, number: int) -> list[dict[str, Any]]:
    return [json.loads(socket.recv(timeout=PATIENCE)) for _ in range(number)]


def rest(socket: ClientConnection) -> tuple[list[dict[str, Any]], tuple[int, str]]:
    """Return what still comes, and the code and reason of the close."""
    found: list[dict[str, Any]] = []
    try:
        while True:
            found += take(socket, 1)
    except ConnectionClosed as error:
        assert error.rcvd is not None
        return found, (error.rcvd.code, error.rcvd.reason)


def nothing_more(socket: ClientConnection) -> bool:
    try:
        socket.recv(timeout=1.5)
    except TimeoutError:
        return True
    return False


def assert_shared(server: WebServer, viewer: ClientConnection) -> None:
    """See that a log that does not grow is read once for all viewers of a worker, twice a second.

    A slow machine reads less often.
    """

    def reads() -> float:
        counted = "vibebox_db_query_duration_seconds_count"
        return server.metric(counted, operation="select", model="log_entries")

    before, begun = reads(), time.monotonic()
    assert nothing_more(viewer)
    looks = (time.monotonic() - begun) / PAUSE
    assert 0 < reads() - before <= WORKERS * (looks + 2), "not by each viewer"


def test_each_viewer_gets_each_line_once(server: WebServer, docker_engine: DockerEngine) -> None:
    raw: Any = docker_engine.client()
    image = commit(raw, docker_engine, SCRIPT)
    agent = Agent.beside(server).start()
    try:
        with Api(server.url) as api:
            api.register("ada@example.org")
            api.login("ada@example.org")
            environment = api.create("one", image)
            assert api.act(environment, "start").status_code == 200
            wait_until(
                lambda: server.metric(COUNTER, stream="stdout") == FIRST,
                PATIENCE,
            )
            stream = f"/environments/{environment}/logs/stream"
            with ExitStack() as stack:
                viewers = fill(api, stream, VIEWERS, stack)
                shown = [take(viewer, 100) for viewer in viewers]  # the last of what there is
                assert refused(api, stream)[0] == 429, "every worker has its ten"
                made = raw.exec_create(f"vibebox-{environment}", ["touch", "/tmp/go"])
                raw.exec_start(made["Id"])
                for lines, viewer in zip(shown, viewers, strict=True):
                    lines += take(viewer, LINES - FIRST)
                assert_shared(server, viewers[0])
            expected = [f"line {number}" for number in range(FIRST - 99, LINES + 1)]
            assert [[line["line"] for line in lines] for lines in shown] == [expected] * VIEWERS
            assert shown[0] == shown[1] == shown[2]

            # After a break each goes on exactly behind the last line that it had.
            cursor = shown[0][-11]["cursor"]
            with opened(api, f"{stream}?cursor={cursor}") as again:
                assert take(again, 10) == shown[0][-10:]
                assert nothing_more(again)
            page = api.call("GET", f"/environments/{environment}/logs?limit=290").json()
            with opened(api, f"{stream}?cursor={page['end_cursor']}") as again:
                assert take(again, 10) == shown[0][-10:]
            status, problem = refused(api, f"{stream}?cursor=nowhere")
            assert (status, problem["type"]) == (422, "urn:vibebox:problem:invalid-input")

            sent = VIEWERS * (100 + LINES - FIRST) + 20
            out = "vibebox_websocket_messages_total"
            assert server.metric(out, kind="logs", direction="out") == sent
            assert server.metric(COUNTER) == LINES, "by lines, not by viewers"
            operations = "vibebox_docker_operations_total"
            assert server.metric(operations, operation="logs") == 1, "one stream of Docker's"
    finally:
        agent.close()


def test_status_is_told_at_the_beginning_and_at_each_change(
    server: WebServer, docker_engine: DockerEngine
) -> None:
    raw: Any = docker_engine.client()
    image = commit(raw, docker_engine, "sleep 1000")
    with Api(server.url) as api:
        api.register("ada@example.org")
        api.login("ada@example.org")
        environment = api.create("one", image)
        stream = f"/environments/{environment}/status/stream"
        with opened(api, stream) as socket, opened(api, "/environments/status/stream") as every:
            told, listed = take(socket, 1), take(every, 1)
            other = api.create("two", image)
            listed += take(every, 1)
            assert [(one["id"], one["status"]) for one in listed] == [
                (environment, "stopped"),
                (other, "stopped"),
            ]
            assert api.act(environment, "start").status_code == 200
            while told[-1]["status"] != "running":
                told += take(socket, 1)
            while listed[-1]["status"] != "running":
                listed += take(every, 1)
            assert {"status", "error", "at"} == set(told[0])
            assert [told[0]["status"], told[-1]["status"]] == ["stopped", "running"]
            assert listed[-1] == {"id": environment, **told[-1]}
            assert nothing_more(socket)
            assert api.call("DELETE", f"/environments/{environment}").status_code == 204
            more, ending = rest(socket)
            told += more
            assert ending == (1008, "Environment not found")
            while listed[-1]["status"] is not None:
                listed += take(every, 1)
            gone = {"id": environment, "status": None, "error": None, "at": None}
            assert listed[-1] == gone
        sent = server.metric("vibebox_websocket_messages_total", kind="status", direction="out")
        assert sent == len(told) + len(listed)
