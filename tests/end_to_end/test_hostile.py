"""Hostile containers beside normal ones: sessions, logs, extensions and exits stay right."""

import time
from collections.abc import Iterator

import pytest

from tests.backends.agent import Agent
from tests.backends.docker_engine import DockerEngine
from tests.backends.host_image import missing_programs
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import wait_until
from tests.backends.web import WebServer
from tests.conftest import require
from tests.end_to_end.api import Api
from tests.end_to_end.hostile import Hostile, Normal, make_images

pytestmark = [pytest.mark.end_to_end, pytest.mark.full, pytest.mark.timeout(1500)]

NORMALS = 20
SECONDS = 600
CODES = (3, 137, 0)


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, docker_engine: DockerEngine, postgresql: PostgreSQL
) -> Iterator[tuple[WebServer, Agent]]:
    require("tmux", missing_programs())
    make_images(docker_engine)
    env = {
        "DOCKER_HOST": docker_engine.host,
        "DATABASE_URL": postgresql.new_database(),
        "VIBEBOX_STOP_GRACE": "0",
        "VIBEBOX_PIDS_LIMIT": "64",
        "VIBEBOX_QUOTA_ENVIRONMENTS": "100",
        "VIBEBOX_QUOTA_CPUS": "100",
        "VIBEBOX_QUOTA_MEMORY_MB": "100000",
        "VIBEBOX_HOST_CPUS": "100",
        "VIBEBOX_HOST_MEMORY_MB": "100000",
        "VIBEBOX_LOG_LIMIT_MB": "5",
    }
    server = WebServer(tmp_path_factory.mktemp("hostile"), env, workers=2)
    server.start()
    agent = Agent.beside(server).start()
    try:
        yield server, agent
    finally:
        agent.close()
        server.close()
        server.print_log()
        docker_engine.clear()


def test_normal_ones_notice_nothing(
    stack: tuple[WebServer, Agent], docker_engine: DockerEngine
) -> None:
    server, agent = stack
    with Api(server.url) as mallory, Api(server.url) as ada:
        for api, name in ((mallory, "mallory"), (ada, "ada")):
            api.register(f"{name}@example.org")
            api.login(f"{name}@example.org")
        normals = [Normal(ada, docker_engine, number) for number in range(NORMALS)]
        hostile = Hostile(mallory, docker_engine)
        hostile.begin()
        begun = time.monotonic()
        slowest: dict[str, float] = {}
        rounds = 0
        with hostile.provoking():
            while rounds == 0 or time.monotonic() - begun < SECONDS:
                for number, normal in enumerate(normals):
                    _check(normal, CODES[(number + rounds) % 3], slowest)
                rounds += 1
        _tell(server, agent, rounds, slowest, time.monotonic() - begun)
        print(f"the hostile ones' own requests took {hostile.slowest}")
        # Each of them has failed somewhere, and is left alone for longer and longer.
        assert server.metric("vibebox_agent_failures_total") > 0
        assert server.metric("vibebox_agent_leading") == 1
        # A database that is silent for seconds on a busy machine ends a term: the next one begins.
        assert agent.events("leading") <= 3


def _check(normal: Normal, code: int, slowest: dict[str, float]) -> None:
    """Check all of one environment, and note how long each took at most."""
    for what, check in (
        ("logs", normal.check_logs),
        ("tmux", lambda: normal.check_session("tmux")),
        ("shell", lambda: normal.check_session("shell")),
        ("extension", normal.check_extension),
        ("exit", lambda: normal.check_exit(code)),
    ):
        begun = time.monotonic()
        check()
        slowest[what] = max(slowest.get(what, 0.0), time.monotonic() - begun)


def _tell(
    server: WebServer, agent: Agent, rounds: int, slowest: dict[str, float], seconds: float
) -> None:
    failures = {
        dict(labels)["task"]: value
        for (name, labels), value in server.metrics().items()
        if name == "vibebox_agent_failures_total" and value
    }
    times = ", ".join(f"{what} {taken:.1f} s" for what, taken in slowest.items())
    print(f"{NORMALS} normal ones, {rounds} rounds in {seconds:.0f} s; at most {times}")
    print(f"failures by loop: {failures}; items: {agent.events('item failed')}")
    wait_until(lambda: server.metric("vibebox_environment_drift") == 0, 30)
