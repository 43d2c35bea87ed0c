"""What is ended has ended: sessions and terminals in real containers, whatever runs there."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.backends.agent import Agent
from tests.backends.docker_engine import DockerEngine
from tests.backends.host_image import import_host_image, missing_programs
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import wait_until
from tests.backends.web import WebServer
from tests.conftest import require
from tests.end_to_end.api import Api
from tests.end_to_end.sockets import PATIENCE, Screen, opened, said
from tests.end_to_end.truth import query
from tests.sizes import size

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]

IDLE = 2.0
PIDS = 48
TERMINALS = size(4, 400)
AT_ONCE = 8


class House:
    """A server with an agent, and an environment in which sessions run."""

    def __init__(self, server: WebServer, agent: Agent, docker: DockerEngine, image: str) -> None:
        self.server, self.agent, self.docker = server, agent, docker
        self.api = Api(server.url)
        self.api.register("ada@example.org")
        self.api.login("ada@example.org")
        self.environment = self.api.create("one", image, cpu_limit=1)
        assert self.api.act(self.environment, "start").status_code == 200

    def session(self, kind: str) -> str:
        path = f"/environments/{self.environment}/sessions"
        response = self.api.call("POST", path, {"type": kind})
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    def shown(self, session: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.call("GET", f"/sessions/{session}").json()
        return found

    def await_end(self, session: str) -> None:
        wait_until(lambda: self.shown(session)["status"] == "terminated", PATIENCE)

    def processes(self) -> list[str]:
        """Return the command lines of the container, as Docker knows them."""
        with self.docker.client() as client:
            raw: Any = client
            return [line[-1] for line in raw.top(f"vibebox-{self.environment}")["Processes"]]

    def await_gone(self, *words: str) -> None:
        def left() -> list[str]:
            return [line for line in self.processes() if any(word in line for word in words)]

        wait_until(lambda: not left(), PATIENCE, 0.2, lambda: str(left()))

    def terminals(self) -> int:
        return int(query(self.server, "SELECT count(*) FROM terminals")[0][0])

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.docker.pid}/fd"))


@pytest.fixture(scope="module")
def house(
    tmp_path_factory: pytest.TempPathFactory, docker_engine: DockerEngine, postgresql: PostgreSQL
) -> Iterator[House]:
    require("tmux", missing_programs())
    with docker_engine.client() as client:
        image = import_host_image(client)
    env = {
        "DOCKER_HOST": docker_engine.host,
        "DATABASE_URL": postgresql.new_database(),
        "VIBEBOX_STOP_GRACE": "0",
        "VIBEBOX_PIDS_LIMIT": str(PIDS),
        "VIBEBOX_SESSION_IDLE_TIMEOUT": str(IDLE),
        "VIBEBOX_SESSIONS_ON_START": "false",
    }
    directory: Path = tmp_path_factory.mktemp("house")
    server = WebServer(directory, env, workers=2)
    server.start()
    agent = Agent.beside(server).start()
    try:
        yield House(server, agent, docker_engine, image)
    finally:
        agent.close()
        server.close()
        server.print_log()
        docker_engine.clear()


def open_and_leave(house: House, session: str, number: int) -> None:
    """Open so many terminals of a session, some at once, and leave them."""
    for _ in range(0, number, AT_ONCE):
        with ExitStack() as stack:
            sockets = [
                stack.enter_context(opened(house.api, f"/sessions/{session}/terminal"))
                for _ in range(min(number, AT_ONCE))
            ]
            for socket in sockets:
                Screen(socket).wait("vibebox-")  # the status line of tmux
        # An account may have few WebSockets at a time; those that were left count until they end.
        wait_until(lambda: house.terminals() <= AT_ONCE, PATIENCE)


def test_terminals_of_tmux_leave_nothing_behind(house: House) -> None:
    session = house.session("tmux")
    # Workers keep the connections to the engine that some at once needed, for the next call.
    open_and_leave(house, session, size(AT_ONCE, 8 * AT_ONCE))
    house.await_gone("attach-session")
    before = house.descriptors()

    open_and_leave(house, session, TERMINALS)

    house.await_gone("attach-session")
    wait_until(lambda: house.terminals() == 0, PATIENCE)
    told = f"{TERMINALS} terminals: engine descriptors {before} -> "
    # The engine finds out late who has ended.
    wait_until(
        lambda: house.descriptors() <= before + 8,
        PATIENCE,
        0.2,
        lambda: f"{told}{house.descriptors()}",
    )
    print(f"{told}{house.descriptors()}")
    assert house.api.call("DELETE", f"/sessions/{session}").status_code == 204


@pytest.mark.full
def test_terminals_of_a_killed_worker_are_closed_by_the_agent(house: House) -> None:
    tmux, shell = house.session("tmux"), house.session("shell")
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(opened(house.api, f"/sessions/{session}/terminal"))
            for session in (tmux, tmux, shell)
        ]
        Screen(sockets[0]).wait("vibebox-")
        Screen(sockets[2]).type("sleep 4321 & echo rea''dy\n")
        Screen(sockets[2]).wait("ready")
        assert house.terminals() == 3
        for pid in house.server.worker_pids():
            os.kill(pid, signal.SIGKILL)
    # It takes 20 seconds until a process counts as dead.
    wait_until(lambda: house.terminals() == 0, 60, 0.2)
    house.await_gone("attach-session", "4321")
    house.await_end(shell)
    house.await_end(tmux)  # nobody uses it any more


FILL = "trap '' HUP; while :; do sleep 9876 & done\n"


@pytest.mark.parametrize("kind", ["shell", "tmux"])
def test_session_that_holds_all_processes_there_may_be_is_ended(house: House, kind: str) -> None:
    session = house.session(kind)
    with opened(house.api, f"/sessions/{session}/terminal") as socket:
        screen = Screen(socket)
        screen.type(f'bash -c "{FILL.strip()}"\n')
        wait_until(lambda: sum("9876" in line for line in house.processes()) > PIDS // 2, PATIENCE)
        begun = time.monotonic()
        answer = house.api.call("DELETE", f"/sessions/{session}")
        print(f"ended after {time.monotonic() - begun:.1f} s")
        assert answer.status_code == 204, answer.text
        assert not any("9876" in line for line in house.processes())
    assert house.shown(session)["status"] == "terminated"


def test_frozen_session_is_ended_when_it_can_be(house: House) -> None:
    session = house.session("shell")
    with opened(house.api, f"/sessions/{session}/terminal") as socket:
        screen = Screen(socket)
        screen.type("sleep 5432 & echo rea''dy\n")
        screen.wait("ready")
        assert house.api.act(house.environment, "pause").status_code == 200

        answer = house.api.call("DELETE", f"/sessions/{session}")
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:vibebox:problem:session-not-ended"
        assert said(socket)[0] == 1000
    found = house.shown(session)
    assert found["status"] != "terminated" and found["ending"]

    assert house.api.act(house.environment, "unpause").status_code == 200
    house.await_end(session)
    assert not any("5432" in line for line in house.processes())
    assert not house.shown(session)["ending"]
    assert house.terminals() == 0


@pytest.mark.parametrize("kind", ["shell", "tmux"])
def test_sessions_begin_in_the_volume(house: House, kind: str) -> None:
    session = house.session(kind)
    with opened(house.api, f"/sessions/{session}/terminal") as socket:
        screen = Screen(socket)
        screen.type('echo "in:$PWD:"\n')
        screen.wait("in:/workspace:")
    assert house.api.call("DELETE", f"/sessions/{session}").status_code == 204


def test_what_is_in_use_is_not_idle(house: House) -> None:
    silent, printing, unused = (house.session(kind) for kind in ("shell", "tmux", "tmux"))
    path = f"/sessions/{printing}/terminal"
    with opened(house.api, path) as socket:
        screen = Screen(socket)
        screen.type("while :; do date; sleep 0.7; done\n")
        screen.wait(":")
    with opened(house.api, f"/sessions/{silent}/terminal") as socket:
        Screen(socket).type("sleep 100000\n")
        house.await_end(unused)
        time.sleep(3 * IDLE)
        assert house.shown(silent)["status"] == "active"
        assert house.shown(printing)["status"] == "active"
    house.await_end(silent)
    assert house.api.call("DELETE", f"/sessions/{printing}").status_code == 204
