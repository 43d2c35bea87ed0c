"""Everything is killed at random while environments are used: afterwards every record is true."""

import os
import time
from collections.abc import Iterator

import pytest

from tests.backends.agent import Agent
from tests.backends.docker_engine import DockerEngine
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import wait_until
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory
from tests.end_to_end.api import Api
from tests.end_to_end.chaos import Reaper, Users
from tests.end_to_end.counters import Watch
from tests.end_to_end.truth import counted_exits, lost_exits, query, recorded_exits, untruths

pytestmark = [pytest.mark.full, pytest.mark.end_to_end, pytest.mark.timeout(400)]

OPERATIONS = 500
THREADS = 6
WORKERS = 4
SEED = int(os.environ.get("CHAOS_SEED", "1"))
# After that no further operation is begun: a slow machine does fewer.
LONGEST = 130.0
# A process is known to be dead after 20 s, a stop may take 10 s, a sweep comes every 30 s.
SETTLING = 75.0


@pytest.fixture
def server(
    web_server: WebServerFactory, docker_engine: DockerEngine, postgresql: PostgreSQL
) -> Iterator[WebServer]:
    yield web_server(
        {
            "DOCKER_HOST": docker_engine.host,
            "DATABASE_URL": postgresql.new_database(),
            "VIBEBOX_STOP_GRACE": "1",
            "VIBEBOX_ACCESS_TOKEN_TTL": "3600",
        },
        workers=WORKERS,
    )
    docker_engine.clear()


@pytest.fixture
def agent(server: WebServer) -> Iterator[Agent]:
    agent = Agent.beside(server)
    yield agent.start()
    agent.close()


def test_every_record_is_true_after_all_kinds_of_deaths(
    server: WebServer,
    agent: Agent,
    docker_engine: DockerEngine,
    postgresql: PostgreSQL,
) -> None:
    reaper = Reaper(server, agent, docker_engine, postgresql, SEED)
    with Api(server.url) as api, Watch(server) as watch:
        api.register("ada@example.org")
        api.login("ada@example.org")
        users = Users(server, api, docker_engine.busybox, OPERATIONS, SEED)
        began = time.monotonic()
        users.start(THREADS)
        while users.busy and time.monotonic() - began < LONGEST:
            time.sleep(reaper.pause())
            if users.busy:
                reaper.strike()
        users.give_up()
        users.join()
        worked = time.monotonic() - began
        wait_until(
            lambda: not disagreements(server, docker_engine),
            SETTLING,
            interval=1,
            otherwise=lambda: "\n".join(disagreements(server, docker_engine)),
        )
        settled = time.monotonic() - began - worked

    report(reaper, users, worked, settled)
    running = len(docker_engine.client().containers())
    started = users.succeeded("start", "restart")
    assert started > 0
    unforeseen = [key for key in users.answers if key[1] == "500"]
    assert unforeseen == []
    # Each start that was confirmed is a run that goes on, or whose end is recorded.
    assert recorded_exits(server).total() + running >= started
    assert server.metric("vibebox_environment_drift") == 0
    assert watch.scrapes > 5
    assert not watch.faults, "\n".join(watch.faults)


def disagreements(server: WebServer, engine: DockerEngine) -> list[str]:
    """Return everything that is not as it should be."""
    faults = untruths(server, engine) + lost_exits(server, engine)
    held = query(server, "SELECT id, held_by FROM environments WHERE held_by IS NOT NULL")
    faults += [f"{environment} is held by {process}" for environment, process in held]
    recorded, counted = recorded_exits(server), counted_exits(server)
    if recorded != counted:
        faults.append(f"exits: recorded {dict(recorded)}, counted {dict(counted)}")
    return faults


def report(reaper: Reaper, users: Users, worked: float, settled: float) -> None:
    """Print what was killed and what the users got."""
    print(f"seed {SEED}: {users.answers.total()} operations in {worked:.0f} s, ", end="")
    print(f"all records true {settled:.0f} s later")
    print("killed: ", ", ".join(f"{name} {times}" for name, times in sorted(reaper.kills.items())))
    for (operation, answer), times in sorted(users.answers.items()):
        print(f"  {operation:8} {answer:4} {times:4}")
