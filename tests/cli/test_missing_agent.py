"""What somebody at a keyboard is told where no agent is at work."""

from pathlib import Path

import pytest

from app.cli.client.service import NO_AGENT
from tests.backends.agent import Agent
from tests.backends.docker_engine import DockerEngine
from tests.backends.programs import wait_until
from tests.cli.support import Person
from tests.conftest import WebServerFactory

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(240)]


def test_missing_agent_is_told_until_there_is_one(
    tmp_path: Path, web_server: WebServerFactory, docker_engine: DockerEngine
) -> None:
    server = web_server({"DOCKER_HOST": docker_engine.host})
    ada = Person(tmp_path / "ada", server.url)
    ada.login("ada@example.org", "--register")
    ada.good("create", "api", "--image", "127.0.0.1:1/nothing:1")

    for command in (("ls",), ("show", "api")):
        assert ada.good(*command).stderr == f"{NO_AGENT}\n"
    assert ada.good("ls", "--json").stderr == ""
    with ada.running("start", "api") as starting:
        starting.until(NO_AGENT, err=True)
        agent = Agent.beside(server).start()
        try:
            assert starting.ended() == 1
            wait_until(lambda: ada.good("ls").stderr == "", 10)
        finally:
            agent.close()
