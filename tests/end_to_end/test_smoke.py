"""The promise in one stack: counts through a death, a start with a pull, a terminal, a scrape.

`make smoke`. Everything in here is held in detail by tests of its own.
"""

import os
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.backends.agent import Agent
from tests.backends.docker_engine import DockerEngine
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import wait_until
from tests.backends.prometheus import Prometheus, Vector
from tests.backends.registry import Registry
from tests.conftest import WebServerFactory
from tests.end_to_end.api import Api
from tests.end_to_end.sockets import Screen, opened
from tests.end_to_end.traffic import UNMATCHED, Kind, send_all

pytestmark = [pytest.mark.end_to_end, pytest.mark.smoke, pytest.mark.timeout(180)]

REQUESTS = "vibebox_http_requests_total"
TIMES = 300
KINDS = (
    Kind("200", "GET", "/health", "/health", 200),
    Kind("401", "GET", "/api/v1/auth/me", "/api/v1/auth/me", 401),
    Kind("404", "GET", "/nothing", UNMATCHED, 404),
)


def test_counts_a_pull_a_terminal_and_a_scrape(
    web_server: WebServerFactory,
    docker_engine: DockerEngine,
    postgresql: PostgreSQL,
    registry: Registry,
    prometheus: Callable[..., Prometheus],
) -> None:
    settings = {
        "DOCKER_HOST": docker_engine.host,
        "DATABASE_URL": postgresql.new_database(),
        "VIBEBOX_STOP_GRACE": "0",
    }
    server = web_server(settings, workers=4)
    agent = Agent.beside(server).start()
    try:
        scraper = prometheus([f"127.0.0.1:{server.port}"])
        for round in (1, 2):
            send_all(server.port, dict.fromkeys(KINDS, TIMES))
            victim = server.worker_pids()[0]
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda gone=victim: gone not in server.worker_pids(), 20)  # type: ignore[misc]
            for kind in KINDS:
                assert server.metric(REQUESTS, **labels(kind)) == round * TIMES, kind.name
        with Api(server.url) as api:
            api.register("ada@example.org")
            assert api.login("ada@example.org").ok
            start_with_a_pull(api, docker_engine, registry)
        for kind in KINDS:
            selector = ",".join(f'{name}="{value}"' for name, value in labels(kind).items())
            scraper.wait_for(f"{REQUESTS}{{{selector}}}", partial(is_, 2 * TIMES))
    finally:
        agent.close()
        docker_engine.clear()


def labels(kind: Kind) -> dict[str, str]:
    return dict(zip(("method", "route", "status_code"), kind.labels, strict=True))


def is_(expected: int, found: Vector) -> bool:
    return [value for _, value in found] == [expected]


def start_with_a_pull(api: Api, docker_engine: DockerEngine, registry: Registry) -> None:
    """Start an environment of an image that only the registry has, and type in its terminal."""
    client: Any = docker_engine.client()
    image = registry.push(client, docker_engine.busybox, "tools/smoke", "1")
    box = api.create("smoke", image)
    answer = api.call("POST", f"/environments/{box}/start?wait=60")
    assert (answer.status_code, answer.json()["status"]) == (200, "running"), answer.text
    made = api.call("POST", f"/environments/{box}/sessions", {"type": "shell"}).json()
    with opened(api, f"/sessions/{made['id']}/terminal") as socket:
        screen = Screen(socket)
        screen.type("echo $((40 + 2))\n")
        screen.wait("42")
