"""The ledger in a whole service: what a container used until it was stopped is read as it ends."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.backends.agent import Agent
from tests.backends.docker_engine import DockerEngine
from tests.backends.programs import wait_until
from tests.backends.web import WebServer
from tests.end_to_end.api import Api
from tests.engine.images import commit

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]
SECONDS = 1.5
# Longer than the container runs: only the signal that ends it has it read.
INTERVAL = 8


def test_use_until_a_stop_is_booked(tmp_path: Path, docker_engine: DockerEngine) -> None:
    raw: Any = docker_engine.client()
    image = commit(raw, docker_engine, "while :; do :; done")
    env = {"DOCKER_HOST": docker_engine.host, "VIBEBOX_USAGE_INTERVAL": str(INTERVAL)}
    with WebServer(tmp_path, env) as server, Api(server.url) as ada:
        ada.sign_up()
        agent = Agent.beside(server).start()
        try:
            # So little that it is held back on a busy machine too.
            made = ada.create("burns", image, cpu_limit=0.1)
            assert ada.act(made, "start").status_code == 200
            time.sleep(SECONDS)
            assert ada.act(made, "stop").status_code == 200

            def used() -> Any:
                return ada.call("GET", "/usage").json()["sum"]

            wait_until(lambda: used()["runs"] == 1, 3 * INTERVAL)
            wait_until(lambda: used()["running_seconds"] >= SECONDS, 3 * INTERVAL)
            time.sleep(INTERVAL)  # for the end
            booked = used()
        finally:
            agent.close()
    docker_engine.clear()
    assert booked["unread_runs"] == 0
    assert 0.04 * SECONDS < booked["cpu_seconds"] < 2 * SECONDS
    assert booked["unread_seconds"] < 0.5
    assert booked["throttled_seconds"] > 0
