"""Many lines of five containers at full speed, while whoever takes them in is interrupted."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select

from app.storage import Database, DurableCounter, EventCount, LogEntry
from tests.agent.log_intake.support import assert_usage_is_exact
from tests.backends.agent import Agent
from tests.backends.docker_engine import DockerEngine
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import wait_until
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory
from tests.end_to_end.api import Api
from tests.engine.images import commit
from tests.sizes import size

COUNTER = DurableCounter.LOG_ENTRIES

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]

CONTAINERS = 5
OF_EACH_STREAM = size(1_000, 10_000)
TOTAL = CONTAINERS * OF_EACH_STREAM * 2
PATIENCE = 200.0
INTERRUPTIONS = [(0.1, "terminate"), (0.3, "kill"), (0.6, "terminate")]
"""After which share of the lines, and how."""

# Each waits for the others, so that all write at once; the last thing written has no newline.
SCRIPT = f"""
until [ -e /tmp/go ]; do sleep 0.05; done
seq {OF_EACH_STREAM} | sed 's/^/this is line number /' &
seq {OF_EACH_STREAM} | sed 's/^/this is line number /' >&2
wait
"""


def start_intake(server: WebServer, name: str) -> Agent:
    """Start the process that takes in logs, beside `server` and with its settings."""
    return Agent.beside(server, name).start(leading=False)


@pytest.fixture
def server(
    web_server: WebServerFactory, docker_engine: DockerEngine, postgresql: PostgreSQL
) -> Iterator[WebServer]:
    env = {"DOCKER_HOST": docker_engine.host, "DATABASE_URL": postgresql.new_database()}
    yield web_server(env, workers=2)
    docker_engine.clear()


@pytest.fixture
def database(server: WebServer) -> Iterator[Database]:
    database = Database(server.env["DATABASE_URL"])
    yield database
    database.dispose()


def stored(database: Database) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(LogEntry)) or 0


def counted(database: Database) -> dict[str, int]:
    """Return the numbers of the only metrics directory."""
    query = select(EventCount.value, EventCount.count).where(EventCount.family == COUNTER)
    with database.reading() as session:
        return {value: count for value, count in session.execute(query)}


def wait_for(database: Database, lines: float) -> None:
    """Wait until so many lines are stored; asked seldom, since counting them takes its time too."""
    wait_until(lambda: stored(database) >= lines, PATIENCE, interval=0.2)


def whole_log(api: Api, environment: str, stream: str) -> list[str]:
    """Read the log page by page, as a client does."""
    lines: list[str] = []
    query = f"/environments/{environment}/logs?stream={stream}&limit=1000"
    cursor = ""
    while True:
        page = api.call("GET", query + cursor).json()
        lines += [item["line"] for item in page["items"]]
        if page["next_cursor"] is None:
            return lines
        cursor = f"&cursor={page['next_cursor']}"


def start_containers(api: Api, docker_engine: DockerEngine) -> list[str]:
    """Start containers that begin to write at once, and return their environments."""
    raw: Any = docker_engine.client()
    endings = ["", "", "", "sleep 1000", "sleep 1000"]  # some end by themselves
    environments = []
    for number, ending in enumerate(endings):
        image = commit(raw, docker_engine, SCRIPT + ending)
        environments.append(api.create(f"env-{number}", image))
        assert api.act(environments[-1], "start").status_code == 200

    def go(environment: str) -> None:
        made = raw.exec_create(f"vibebox-{environment}", ["touch", "/tmp/go"])
        raw.exec_start(made["Id"])

    with ThreadPoolExecutor(CONTAINERS) as pool:
        list(pool.map(go, environments))
    return environments


def test_each_line_is_stored_and_counted_once(
    server: WebServer, database: Database, docker_engine: DockerEngine
) -> None:
    with Api(server.url) as api:
        api.register("ada@example.org")
        api.login("ada@example.org")
        intake = start_intake(server, "intake-0")
        try:
            environments = start_containers(api, docker_engine)
            begun = time.monotonic()
            for number, (share, ending) in enumerate(INTERRUPTIONS, 1):
                wait_for(database, TOTAL * share)
                assert stored(database) < TOTAL, "there is nothing left to interrupt"
                intake.terminate() if ending == "terminate" else intake.kill()
                intake = start_intake(server, f"intake-{number}")
            wait_for(database, TOTAL)
            seconds = time.monotonic() - begun
            time.sleep(1)  # for what would be stored twice
        finally:
            intake.terminate()
        print(f"{TOTAL} lines in {seconds:.1f} s: {TOTAL / seconds:.0f} lines/s")

        expected = [f"this is line number {number}" for number in range(1, OF_EACH_STREAM + 1)]
        for environment in environments:
            for stream in ("stdout", "stderr"):
                assert whole_log(api, environment, stream) == expected
    assert stored(database) == TOTAL
    assert counted(database) == {"stdout": TOTAL // 2, "stderr": TOTAL // 2}
    assert_usage_is_exact(database)
    for stream in ("stdout", "stderr"):
        assert server.metric(COUNTER, stream=stream) == TOTAL // 2
