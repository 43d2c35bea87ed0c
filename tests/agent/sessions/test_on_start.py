"""The sessions that come with a start: which, and once for each run."""

from typing import Any

import pytest
from flask_openapi3 import OpenAPI
from sqlalchemy import select, update

from app.agent.sessions.on_start import SessionsOnStart
from app.domain.sessions.vscode import Server
from app.storage import Database, Environment, EnvironmentSession, EnvironmentStatus
from app.storage.fence import unfenced
from tests.agent_loops import run_through
from tests.support.application import User, parts
from tests.support.fakes import Failure, FakeEngine

PORT = {"container_port": 13337, "host_port": 32768, "protocol": "tcp"}
RUN = "2026-01-01T00:00:01Z"


class House:
    """An environment, and the agent's task."""

    def __init__(self, database: Database, engine: FakeEngine) -> None:
        self.database, self.engine = database, engine
        self.begin_anew()
        self.become()

    def begin_anew(self) -> None:
        """Have a task that remembers no failure."""
        self.task = SessionsOnStart(self.database, self.engine, Server(), unfenced)

    def become(self, **fields: Any) -> None:
        running = {
            "status": EnvironmentStatus.RUNNING,
            "container_id": "box",
            "run_started": RUN,
            "published_ports": [PORT],
        }
        with self.database.writing() as session:
            session.execute(update(Environment).values({**running, **fields}))

    def after(self) -> list[tuple[str, str, str | None]]:
        """Run the task once; return type, status and address of all sessions."""
        run_through(self.task.run)
        with self.database.reading() as session:
            found = session.scalars(select(EnvironmentSession).order_by(EnvironmentSession.type))
            return [(row.type, row.status, row.connection_url) for row in found]


@pytest.fixture
def house(app: OpenAPI, user: User, engine: FakeEngine) -> House:
    user.new_environment()
    engine.outputs["sh"] = b"tmux\ncode-server\n"
    return House(parts(app).database, engine)


TMUX = ("tmux", "active", None)
SERVER = ("vscode_server", "active", "http://127.0.0.1:32768/")


def test_each_run_gets_them_once(house: House) -> None:
    assert house.after() == [TMUX, SERVER]
    assert house.after() == [TMUX, SERVER]
    house.become(run_started="2026-01-02T00:00:01Z")
    assert house.after() == [TMUX, TMUX, SERVER], "of the server there is one, until it has ended"


def test_only_what_the_image_has(house: House) -> None:
    house.engine.outputs["sh"] = b"tmux\n"
    assert house.after() == [TMUX]


def test_no_server_without_its_port(house: House) -> None:
    house.become(published_ports=[{**PORT, "container_port": 80}])
    assert house.after() == [TMUX]


def test_image_without_a_shell_gets_none(house: House) -> None:
    house.engine.failures["exec"] = Failure.EXECUTABLE_MISSING
    assert house.after() == []
    house.engine.failures.clear()
    assert house.after() == [], "it is asked once"


@pytest.mark.parametrize(
    "status", [status for status in EnvironmentStatus if status != EnvironmentStatus.RUNNING]
)
def test_what_does_not_run_gets_none(house: House, status: EnvironmentStatus) -> None:
    house.become(status=status)
    assert house.after() == []
    assert not house.engine.commands


def test_docker_that_does_not_answer_is_asked_again(house: House) -> None:
    house.engine.failures["exec"] = Failure.TIMED_OUT
    assert house.after() == []
    house.engine.failures.clear()
    assert house.after() == [], "after a pause"
    house.begin_anew()
    house.engine.failures["exec"] = Failure.CONFLICT
    assert house.after() == []
    house.engine.failures.clear()
    assert house.after() == [TMUX, SERVER]


def test_server_that_does_not_start_leaves_the_others(house: House) -> None:
    house.engine.exit_codes["13337"] = 5
    assert house.after() == [TMUX, ("vscode_server", "terminated", SERVER[2])]
