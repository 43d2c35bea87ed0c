"""What the agent does about the extensions that an environment is to have, and how it counts."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask_openapi3 import OpenAPI
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.agent.extensions.commands import Commands
from app.agent.extensions.installer import Installer
from app.agent.extensions.work import Work
from app.core import signals
from app.core.errors import VibeBoxError
from app.domain.durable_counters import DurableCounters
from app.storage import (
    Database,
    DurableCounter,
    Environment,
    EnvironmentStatus,
    Extension,
    ExtensionPackage,
    ExtensionState,
)
from tests.agent_loops import run_through
from tests.backends.programs import wait_until
from tests.support.application import User, parts
from tests.support.fakes import Failure, FakeEngine

PENDING, INSTALLING = ExtensionState.PENDING, ExtensionState.INSTALLING
INSTALLED, FAILED = ExtensionState.INSTALLED, ExtensionState.FAILED
UNINSTALLING = ExtensionState.UNINSTALLING
PATIENCE = 30.0


class FakeTerm:
    """A term that ends when it is told to."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.is_certain = True

    def fence(self, session: Session) -> None:
        if self.over.is_set():
            raise VibeBoxError("the term is over")

    def end(self) -> None:
        self.over.set()


class House:
    """An environment, extensions of it, and the agent's task."""

    def __init__(self, database: Database, engine: FakeEngine, environment: str) -> None:
        self.database, self.engine, self.environment = database, engine, environment
        self.term = FakeTerm()
        self.told: Counter[str] = Counter()
        work = Work(database, DurableCounters("directory"), self.term.fence)
        self.installer = Installer(work, Commands(engine, "code-server", 5), self.term)
        self.become()

    def become(self, **fields: Any) -> None:
        running = {"status": EnvironmentStatus.RUNNING, "container_id": "box"}
        with self.database.writing() as session:
            session.execute(update(Environment).values({**running, **fields}))

    def add(self, state: ExtensionState = PENDING, name: str = "a.b", **fields: Any) -> str:
        made = Extension(environment_id=self.environment, name=name, state=state, **fields)
        with self.database.writing() as session:
            session.add(made)
            session.flush()
            return made.id

    def states(self) -> list[str]:
        with self.database.reading() as session:
            return list(session.scalars(select(Extension.state).order_by(Extension.name)))

    def one(self) -> Extension:
        with self.database.reading() as session:
            found = session.scalars(select(Extension)).one()
            session.expunge_all()
            return found

    def run(self) -> list[str]:
        """Run the task once, to its end; return the states of all rows by name."""
        run_through(self.installer.run)
        return self.states()

    def counted(self) -> dict[str, int]:
        """Return what is counted; the metric was told the same."""
        with self.database.reading() as session:
            kept = {
                key[1]: number for key, number in DurableCounters("directory").all(session).items()
            }
        assert kept == self.told
        return kept


@pytest.fixture
def house(app: OpenAPI, user: User, engine: FakeEngine) -> Iterator[House]:
    house = House(parts(app).database, engine, user.new_environment())

    def hear(_sender: object, *, counter: str, value: str, amount: int) -> None:
        assert counter == DurableCounter.EXTENSION_INSTALLATIONS
        house.told[value] += amount

    with signals.counted.connected_to(hear):
        yield house
    house.term.end()


def test_what_waits_is_installed_and_counted(house: House) -> None:
    house.add(name="a.b", version="1.0.0")
    house.add(name="c.d")
    house.engine.exit_codes["c.d"] = 9
    house.engine.outputs["sh"] = b"said\x00so"

    assert house.run() == ["installed", "failed"]
    assert house.counted() == {"success": 1, "failure": 1}
    first = next(argv for argv in house.engine.commands if "code-server" in argv)
    assert first[-1] == "a.b@1.0.0"
    assert house.run() == ["installed", "failed"], "neither is tried again by itself"
    assert house.counted() == {"success": 1, "failure": 1}


def test_end_is_recorded_with_code_and_output(house: House) -> None:
    house.add()
    house.engine.exit_codes["a.b"] = 9
    house.engine.outputs["sh"] = b"said\x00so"
    house.run()

    found = house.one()
    assert (found.exit_code, found.output, found.container_id) == (9, "saidso", "box")


def test_package_is_brought_there(house: House) -> None:
    extension = house.add(uploaded=True)
    with house.database.writing() as session:
        session.add(ExtensionPackage(extension_id=extension, content=b"zip"))

    assert house.run() == ["installed"]
    assert house.engine.files == {f"/tmp/vibebox-{extension}.vsix": b"zip"}


def test_image_without_a_server_says_so(house: House) -> None:
    house.add()
    house.engine.exit_codes["a.b"] = 127

    assert house.run() == ["failed"]
    assert "The image holds no VS Code server" in str(house.one().output)
    assert house.counted() == {"failure": 1}


def test_command_that_does_not_end_has_failed(house: House) -> None:
    house.add()

    def third_is_late() -> None:
        house.engine.failures.clear()
        if len(house.engine.commands) == 1:
            house.engine.failures["exec"] = Failure.LATE

    house.engine.during_exec = third_is_late
    assert house.run() == ["failed"]
    assert house.one().exit_code is None
    assert "did not end within 5 seconds" in str(house.one().output)
    assert house.counted() == {"failure": 1}


def test_new_container_is_given_them_again(house: House) -> None:
    house.add(INSTALLED, "a.b", container_id="old")
    house.add(FAILED, "c.d", container_id="old")
    house.add(INSTALLED, "e.f", container_id="box")

    assert house.run() == ["installed"] * 3
    assert house.counted() == {"success": 2}


def test_installation_that_a_dead_process_left_is_done_again(house: House) -> None:
    extension = house.add(INSTALLING, container_id="box")

    assert house.run() == ["installed"]
    assert house.engine.commands[0][-1] == f"VIBEBOX_EXTENSION={extension}", "and ended first"


@pytest.mark.parametrize(
    "status", [status for status in EnvironmentStatus if status != EnvironmentStatus.RUNNING]
)
def test_nothing_is_done_in_what_does_not_run(house: House, status: EnvironmentStatus) -> None:
    house.become(status=status)
    house.add(PENDING, "a.b")
    house.add(UNINSTALLING, "c.d", container_id="box")

    assert house.run() == ["pending", "uninstalling"]
    assert not house.engine.calls


def test_what_is_removed_is_gone(house: House) -> None:
    house.add(UNINSTALLING, "a.b", container_id="box")
    assert house.run() == []
    assert house.engine.commands[-1][-1] == "a.b"
    assert house.counted() == {}


@pytest.mark.parametrize("container", [None, "old"])
def test_what_is_in_no_container_is_gone_at_once(house: House, container: str | None) -> None:
    house.become(status=EnvironmentStatus.STOPPED)
    house.add(UNINSTALLING, container_id=container)

    assert house.run() == []
    assert not house.engine.calls


def test_removal_that_failed_says_why(house: House) -> None:
    house.add(UNINSTALLING, container_id="box")
    house.engine.exit_codes["a.b"] = 1

    assert house.run() == ["failed"]
    assert house.one().exit_code == 1


def test_removal_that_is_asked_for_meanwhile_comes_next(house: House) -> None:
    house.add()

    def ask() -> None:
        with house.database.writing() as session:
            session.execute(update(Extension).values(state=UNINSTALLING))

    house.engine.during_exec = ask
    assert house.run() == []
    assert house.counted() == {"success": 1}, "it had ended all the same"


def quick(house: House, work: Callable[[], None]) -> None:
    """Run the task, whose thread waits after trouble until the term is over."""
    house.installer.run()
    wait_until(lambda: bool(house.engine.calls), PATIENCE)
    work()
    house.term.end()
    wait_until(lambda: not any(t.name == "extensions" for t in threading.enumerate()), PATIENCE)


@pytest.mark.parametrize("failure", [Failure.UNREACHABLE, Failure.TIMED_OUT, Failure.FAULTY])
def test_docker_that_fails_leaves_it_to_the_next_try(house: House, failure: Failure) -> None:
    house.add()
    house.engine.failures["*"] = failure
    quick(house, lambda: None)

    assert house.states() == ["installing"]
    assert house.counted() == {}


def test_container_that_ends_meanwhile_lets_it_wait(house: House) -> None:
    house.add()
    house.engine.failures["exec"] = Failure.CONFLICT
    quick(house, lambda: wait_until(lambda: house.states() == ["pending"], PATIENCE))

    assert house.one().container_id is None
    assert house.counted() == {}


def test_end_of_the_term_stores_nothing(house: House) -> None:
    house.add()
    house.engine.during_exec = house.term.end

    assert house.run() == ["installing"]
    assert house.counted() == {}


def test_uncertain_term_tells_nobody(house: House) -> None:
    house.add()
    house.term.is_certain = False

    assert house.run() == ["installed"]
    assert house.told == {}
    assert house.term.over.is_set(), "the next one begins with what the database says"
