"""What the agent does with a session, by what has become of its process and who serves it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask_openapi3 import OpenAPI
from sqlalchemy import select, update

from app.agent.sessions.reconciler import SessionReconciler
from app.engine import ContainerSpec, ExecState, HostProcess
from app.storage import (
    Database,
    Environment,
    EnvironmentSession,
    EnvironmentStatus,
    Process,
    SessionStatus,
    SessionType,
    Terminal,
    new_id,
    utc_now,
)
from app.storage.cautious_clock import CautiousClock
from app.storage.fence import unfenced
from tests.agent_loops import run_through
from tests.support.application import User, parts
from tests.support.fakes import IMAGE, Failure, FakeContainer, FakeEngine

IDLE = 100.0
RUN = "2026-01-01T00:00:01Z"
NAME = "vibebox-00000001"
TMUX = f"{NAME} 100 100\n".encode()


class House:
    """An environment that runs, a session in it, and the agent's task."""

    def __init__(self, database: Database, engine: FakeEngine, environment: str) -> None:
        self.database = database
        self.engine = engine
        self.environment = environment
        spec = ContainerSpec(environment, "box", IMAGE, {}, [], 1.0, 64)
        engine.containers["box"] = FakeContainer(spec, "running")
        self.begin_anew()
        self.become(EnvironmentStatus.RUNNING)

    def begin_anew(self) -> None:
        """Have a task that remembers no failure."""
        self.reconciler = SessionReconciler(
            self.database, self.engine, CautiousClock(self.database), IDLE, unfenced
        )

    def become(self, status: EnvironmentStatus, run: str = RUN) -> None:
        fields = {"status": status, "container_id": "box", "run_started": run}
        with self.database.writing() as session:
            session.execute(update(Environment).values(fields))

    def add(self, **fields: Any) -> str:
        defaults: dict[str, Any] = {
            "type": SessionType.SHELL,
            "status": SessionStatus.ACTIVE,
            "container_id": "box",
            "run_started": RUN,
            "name": NAME,
        }
        made = EnvironmentSession(
            id=new_id(), environment_id=self.environment, **{**defaults, **fields}
        )
        with self.database.writing() as session:
            session.add(made)
        return made.id

    def open_terminal(self, session_id: str, holder: str | None) -> str:
        """Record a terminal of a session, served by that process."""
        with self.database.writing() as session:
            terminal = Terminal(id=new_id(), session_id=session_id, held_by=holder, pid=77)
            session.add(terminal)
        return terminal.id

    def terminals(self) -> set[str]:
        with self.database.reading() as session:
            return set(session.scalars(select(Terminal.id)))

    def ended_marks(self) -> list[str]:
        """Return what was ended in the container, by the marks."""
        return [mark for argv in self.engine.commands if argv[0] == "sh" for mark in argv[5:]]

    def one(self, session_id: str) -> EnvironmentSession:
        with self.database.reading() as session:
            found = session.get_one(EnvironmentSession, session_id)
            session.expunge(found)
            return found

    def living_process(self) -> str:
        with self.database.writing() as session:
            process = Process(id=new_id(), place="web")
            session.add(process)
        return process.id

    def after(self, session_id: str) -> tuple[str, int | None]:
        """Run the task once; return status and exit code."""
        run_through(self.reconciler.run)
        with self.database.reading() as session:
            query = select(EnvironmentSession.status, EnvironmentSession.exit_code)
            found = session.execute(query.where(EnvironmentSession.id == session_id)).one()
            return str(found.status), found.exit_code

    @property
    def killed(self) -> bool:
        """Whether a session was ended in the container."""
        return any(argv[0] == "sh" or "kill-session" in argv for argv in self.engine.commands)


@pytest.fixture
def house(app: OpenAPI, user: User, engine: FakeEngine) -> House:
    return House(parts(app).database, engine, user.new_environment())


def ago(seconds: float) -> Any:
    return utc_now() - timedelta(seconds=seconds)


def test_shell_whose_process_lives_and_is_served_stays(house: House) -> None:
    house.engine.execs["1"] = ExecState(True, None)
    session = house.add(exec_id="1", held_by=house.living_process())

    assert house.after(session) == ("active", None)
    assert not house.killed


@pytest.mark.parametrize(
    ("code", "expected"), [(137, ("terminated", 137)), (126, ("active", None))]
)
def test_shell_of_the_release_before_has_ended_with_its_process(
    house: House, code: int, expected: tuple[str, int | None]
) -> None:
    """It kept no rows of terminals. Of 126 Docker says so of what goes on, now and then."""
    house.engine.execs["1"] = ExecState(False, code)

    assert house.after(house.add(exec_id="1", held_by=house.living_process())) == expected


def test_shell_that_docker_has_forgotten_has_ended(house: House) -> None:
    assert house.after(house.add(exec_id="gone")) == ("terminated", None)


@pytest.mark.parametrize("exec_id", ["1", None], ids=["running", "not-noted-yet"])
@pytest.mark.parametrize("holder", [new_id(), None], ids=["dead", "released"])
def test_shell_that_nobody_serves_is_ended(
    house: House, exec_id: str | None, holder: str | None
) -> None:
    house.engine.execs["1"] = ExecState(True, None)

    assert house.after(house.add(exec_id=exec_id, held_by=holder)) == ("terminated", None)
    assert house.killed


def test_session_that_could_not_be_ended_stays_for_the_next_time(house: House) -> None:
    house.engine.execs["1"] = ExecState(True, None)
    session = house.add(exec_id="1", held_by=new_id())
    house.engine.failures["exec"] = Failure.TIMED_OUT
    assert house.after(session) == ("active", None)
    house.engine.failures.clear()
    house.begin_anew()

    assert not house.killed
    assert house.after(session) == ("terminated", None)
    assert house.killed


@pytest.mark.parametrize(("age", "status"), [(60, "starting"), (180, "terminated")])
def test_shell_that_nobody_has_opened_waits_for_a_while(
    house: House, age: float, status: str
) -> None:
    """Whoever was refused a terminal may try again, and else nobody comes."""
    session = house.add(status=SessionStatus.STARTING, created_at=ago(age))
    assert house.after(session) == (status, None)


@pytest.mark.parametrize("kind", [SessionType.SHELL, SessionType.TMUX])
def test_session_with_an_open_terminal_is_in_use(house: House, kind: SessionType) -> None:
    """However long it is silent; what shows it is the terminal, and not a message."""
    house.engine.outputs["tmux"] = TMUX
    session = house.add(type=kind, last_active_at=ago(IDLE * 3), status=SessionStatus.IDLE)
    terminal = house.open_terminal(session, house.living_process())

    assert house.after(session) == ("active", None)
    assert house.one(session).last_active_at > ago(5)
    assert not house.killed and house.terminals() == {terminal}


def test_tmux_whose_program_prints_is_in_use(house: House) -> None:
    session = house.add(type=SessionType.TMUX, last_active_at=ago(IDLE * 1.5))
    for second in (100, 101):
        house.engine.outputs["tmux"] = f"{NAME} 50 {second}\n".encode()
        found = house.after(session)
    assert found == ("active", None)
    assert house.one(session).last_active_at > ago(5)


def test_terminals_that_nobody_serves_are_closed_together(house: House) -> None:
    house.engine.outputs["tmux"] = TMUX
    session = house.add(type=SessionType.TMUX)
    dead, left = (house.open_terminal(session, holder) for holder in (new_id(), None))
    served = house.open_terminal(session, house.living_process())

    assert house.after(session) == ("active", None)
    assert set(house.ended_marks()) == {f"VIBEBOX_TERMINAL={id}" for id in (dead, left)}
    assert house.terminals() == {served}


@pytest.mark.parametrize("says", [b"vibebox: left 2\n", b"Segmentation fault", b"\xff\xff", b""])
def test_terminal_whose_command_goes_on_is_tried_again(house: House, says: bytes) -> None:
    house.engine.outputs["tmux"] = TMUX
    session = house.add(type=SessionType.TMUX)
    terminal = house.open_terminal(session, None)
    # What means nothing is asked once more, with room for more processes.
    house.engine.endings += [says] * (1 if b"left" in says else 2)

    assert house.after(session) == ("active", None)
    assert house.terminals() == {terminal}
    house.begin_anew()
    assert house.after(session) == ("active", None)
    assert house.terminals() == set()


def test_command_that_the_host_still_sees_has_not_ended(house: House) -> None:
    """Whatever the container says."""
    house.engine.outputs["tmux"] = TMUX
    session = house.add(type=SessionType.TMUX)
    terminal = house.open_terminal(session, None)
    house.engine.host_processes = [HostProcess(500, 77)]

    house.after(session)
    assert house.terminals() == {terminal}


def test_session_that_is_to_end_is_ended_until_it_has(house: House) -> None:
    house.engine.outputs["tmux"] = b""
    session = house.add(type=SessionType.TMUX, end_requested_at=ago(1))
    house.engine.endings.append(b"vibebox: left 512\n")

    assert house.after(session) == ("active", None)
    assert house.one(session).ending
    house.begin_anew()
    assert house.after(session) == ("terminated", None)
    assert not house.one(session).ending


def test_tmux_that_does_not_say_what_it_has_ends_nothing(house: House) -> None:
    house.engine.exit_codes["list-windows"] = 1
    session = house.add(type=SessionType.TMUX)
    assert house.after(session) == ("active", None)
    assert not house.killed


def test_session_that_fails_does_not_keep_the_others_of_its_container(house: House) -> None:
    house.engine.outputs["tmux"] = TMUX
    bad = house.add(type=SessionType.SHELL, end_requested_at=ago(1), name="bad")
    good = house.add(type=SessionType.TMUX, last_active_at=ago(IDLE * 1.5))
    house.engine.endings.append(b"vibebox: left 1\n")

    assert house.after(bad) == ("active", None)
    assert house.one(good).status == "idle"


@pytest.mark.parametrize(
    ("names", "status"),
    [
        (TMUX + b"other 1 1\n", "active"),
        (b"\xff\xfe\n" + TMUX, "active"),
        (NAME.encode() + b"0 1 1\n", "terminated"),
        (b"", "terminated"),
    ],
)
def test_tmux_lives_as_long_as_its_session_does(house: House, names: bytes, status: str) -> None:
    house.engine.outputs["tmux"] = names

    assert house.after(house.add(type=SessionType.TMUX)) == (status, None)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"PASSWORD=x\nVIBEBOX_SILENT=3", "active"),
        (b"PASSWORD=x", "idle"),
        (b"PASSWORD=x\nVIBEBOX_SILENT=150", "idle"),
        (b"VIBEBOX_SILENT=3", "terminated"),
        (b"", "terminated"),
    ],
    ids=["used", "nobody-knows", "unused", "gone", "nothing-said"],
)
def test_server_lives_as_long_as_its_process_does(house: House, said: bytes, status: str) -> None:
    house.engine.outputs["sh"] = said
    last = ago(IDLE * 1.5)

    session = house.add(type=SessionType.VSCODE_SERVER, last_active_at=last, created_at=last)
    assert house.after(session) == (status, None)


@pytest.mark.parametrize(("age", "status"), [(30, "starting"), (90, "terminated")])
def test_server_that_nobody_awaits_any_more_is_ended(house: House, age: float, status: str) -> None:
    house.engine.outputs["sh"] = b"PASSWORD=x"
    session = house.add(
        type=SessionType.VSCODE_SERVER, status=SessionStatus.STARTING, created_at=ago(age)
    )

    assert house.after(session)[0] == status
    assert house.killed is (status == "terminated")


@pytest.mark.parametrize(
    ("silent", "status"),
    [(IDLE / 2, "active"), (IDLE * 1.5, "idle"), (IDLE * 2.5, "terminated")],
)
def test_unused_session_is_idle_and_then_ended(house: House, silent: float, status: str) -> None:
    house.engine.outputs["tmux"] = TMUX
    session = house.add(type=SessionType.TMUX, last_active_at=ago(silent))

    assert house.after(session)[0] == status
    assert house.killed is (status == "terminated")


@pytest.mark.parametrize(
    "change",
    [
        lambda house: house.become(EnvironmentStatus.STOPPED),
        lambda house: house.become(EnvironmentStatus.ERROR),
        lambda house: house.become(EnvironmentStatus.RUNNING, "2026-01-02T00:00:00Z"),
    ],
    ids=["stopped", "error", "another-run"],
)
def test_session_ends_with_the_run_of_its_container(
    house: House, change: Callable[[House], None]
) -> None:
    session = house.add(type=SessionType.TMUX)
    change(house)

    assert house.after(session)[0] == "terminated"


@pytest.mark.parametrize(
    "status",
    [EnvironmentStatus.PAUSED, EnvironmentStatus.STARTING, EnvironmentStatus.STOPPING],
)
def test_nothing_is_concluded_while_nobody_can_look(
    house: House, status: EnvironmentStatus
) -> None:
    session = house.add(type=SessionType.TMUX, last_active_at=ago(IDLE * 3))
    house.become(status)

    assert house.after(session)[0] == "active"
    assert not house.engine.commands


@pytest.mark.parametrize("failure", [Failure.UNREACHABLE, Failure.TIMED_OUT, Failure.CONFLICT])
def test_failing_engine_ends_no_session(house: House, failure: Failure) -> None:
    session = house.add(type=SessionType.TMUX)
    house.engine.failures["*"] = failure
    assert house.after(session)[0] == "active"
    house.engine.failures.clear()
    house.begin_anew()
    house.engine.outputs["tmux"] = TMUX

    assert house.after(session)[0] == "active"
