"""What a record becomes, by what Docker says of its container."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from app.agent.reconcile.event_history import ContainerEventHistory
from app.agent.reconcile.reconciler import Reconciler, Verdict
from app.core.errors import EngineUnreachableError, LeadershipLostError
from app.domain.environments.containers import InstallationId
from app.domain.environments.exits import Exit, Run, record_exits
from app.domain.heartbeat import Heartbeat
from app.engine import ContainerEvent
from app.storage import Database, Environment, EnvironmentStatus, ExitReason, ImagePull, utc_now
from app.storage.fence import unfenced
from tests.agent.conftest import MakeRecord
from tests.agent.support import change, exits, stored
from tests.support.fakes import IMAGE, Failure, FakeEngine

STOPPED, RUNNING = EnvironmentStatus.STOPPED, EnvironmentStatus.RUNNING
STARTING, STOPPING = EnvironmentStatus.STARTING, EnvironmentStatus.STOPPING
PAUSED, ERROR = EnvironmentStatus.PAUSED, EnvironmentStatus.ERROR
MakeContainer = Callable[..., str]
MakeRunning = Callable[..., tuple[str, str]]


@pytest.fixture
def running(
    database: Database,
    record: MakeRecord,
    container: MakeContainer,
    engine: FakeEngine,
    reconciler: Reconciler,
) -> MakeRunning:
    """A function that makes a record that runs, and its container."""

    def make(**columns: Any) -> tuple[str, str]:
        environment = record(RUNNING)
        made = container(environment)
        reconciler.reconcile(environment)
        change(database, environment, **columns)
        return environment, made

    return make


def end(engine: FakeEngine, container: str, code: int, oom: bool = False) -> None:
    engine.containers[container].status = "exited"
    engine.containers[container].exit_code = code
    engine.containers[container].oom_killed = oom


def heard(
    event_history: ContainerEventHistory,
    engine: FakeEngine,
    container: str,
    *actions: str,
    code: int = 0,
) -> None:
    """Let the agent hear of events in the present run of the container."""
    started = engine.containers[container].started_at
    assert started is not None
    at = int(started.timestamp()) * 10**9
    for number, action in enumerate(actions, 1):
        exit_code = code if action == "die" else None
        event_history.record(ContainerEvent(action, container, "", None, exit_code, at + number))


@pytest.mark.parametrize(
    ("code", "oom", "reason", "status", "words"),
    [
        (0, False, "completed", STOPPED, None),
        (0, True, "completed", STOPPED, None),
        (1, False, "error", ERROR, "ended with exit code 1"),
        (128, False, "error", ERROR, "ended with exit code 128"),
        (137, False, "killed", ERROR, "killed outside VibeBox"),
        (143, False, "killed", ERROR, "with exit code 143"),
        (137, True, "oom", ERROR, "ran out of its memory"),
        (1, True, "error", ERROR, "ended with exit code 1"),
        (143, True, "killed", ERROR, "with exit code 143"),
    ],
)
def test_ended_container_is_told_with_its_reason(
    database: Database,
    engine: FakeEngine,
    reconciler: Reconciler,
    running: MakeRunning,
    code: int,
    oom: bool,
    reason: str,
    status: EnvironmentStatus,
    words: str | None,
) -> None:
    environment, container = running()
    end(engine, container, code, oom)

    reconciler.reconcile(environment)
    reconciler.reconcile(environment)

    found = stored(database, environment)
    assert (found.status, found.exit_reason, found.exit_code) == (status, reason, code)
    assert found.error is None if words is None else words in str(found.error)
    assert found.exited_at is not None
    assert exits(database) == [(reason, code)]


def test_child_that_ran_out_of_memory_long_ago_explains_no_later_end(
    database: Database,
    engine: FakeEngine,
    reconciler: Reconciler,
    event_history: ContainerEventHistory,
    running: MakeRunning,
) -> None:
    environment, container = running()
    heard(event_history, engine, container, "oom")
    started = engine.containers[container].started_at
    assert started is not None
    later = (int(started.timestamp()) + 3600) * 10**9
    event_history.record(ContainerEvent("die", container, "", None, 137, later))
    event_history._clock = lambda: time.monotonic() + 2  # nothing more will be heard of it
    end(engine, container, 137, oom=True)

    reconciler.reconcile(environment)

    assert exits(database) == [("killed", 137)]


def test_flag_of_an_earlier_run_explains_no_later_end(
    database: Database, engine: FakeEngine, reconciler: Reconciler, running: MakeRunning
) -> None:
    """Docker keeps it through the next run; nobody heard of either end."""
    environment, container = running()
    for code in (1, 137):
        end(engine, container, code, oom=True)
        reconciler.reconcile(environment)
        engine.start(container)
        reconciler.reconcile(environment)

    assert exits(database) == [("error", 1), ("killed", 137)]
    assert stored(database, environment).exit_reason == "killed"


def test_end_that_may_still_be_explained_is_looked_at_again(
    database: Database,
    engine: FakeEngine,
    reconciler: Reconciler,
    event_history: ContainerEventHistory,
    running: MakeRunning,
) -> None:
    environment, container = running()
    heard(event_history, engine, container, "die", code=137)
    end(engine, container, 137)

    assert reconciler.reconcile(environment) is Verdict.PASSING
    heard(event_history, engine, container, "die", "oom", code=137)
    assert reconciler.reconcile(environment) is Verdict.TRUE
    assert exits(database) == [("oom", 137)]


@pytest.mark.parametrize("at_rest", [True, False], ids=["at rest", "running again"])
def test_run_whose_end_is_written_keeps_its_reason(
    database: Database,
    engine: FakeEngine,
    reconciler: Reconciler,
    running: MakeRunning,
    at_rest: bool,
) -> None:
    environment, container = running()
    run = Run(container, stored(database, environment).run_started or "")
    with database.writing() as session:
        ended = Exit(run, ExitReason.USER, 143, utc_now())
        record_exits(session, session.get_one(Environment, environment), [ended])
    # As a crash may leave it: the row has a reason, and the record none.
    change(database, environment, exit_reason=None, exit_code=None, exited_at=None)
    end(engine, container, 143)
    if not at_rest:
        engine.start(container)

    reconciler.reconcile(environment)

    found = stored(database, environment)
    assert (found.exit_reason, found.exit_code) == ("user", 143)
    assert found.status == (STOPPED if at_rest else RUNNING)
    assert exits(database) == [("user", 143)]


def test_end_that_the_user_asked_for_is_theirs(
    database: Database, engine: FakeEngine, reconciler: Reconciler, running: MakeRunning
) -> None:
    environment, container = running(end_requested=True)
    end(engine, container, 137)

    reconciler.reconcile(environment)

    found = stored(database, environment)
    assert (found.status, found.error, found.end_requested) == (STOPPED, None, False)
    assert exits(database) == [("user", 137)]


def test_request_that_was_not_carried_out_is_forgotten(
    database: Database, reconciler: Reconciler, running: MakeRunning
) -> None:
    lately, _ = running(end_requested=True)
    long_ago, _ = running(end_requested=True, status_changed_at=utc_now() - timedelta(seconds=300))

    reconciler.reconcile(lately)
    reconciler.reconcile(long_ago)

    assert stored(database, lately).end_requested
    assert not stored(database, long_ago).end_requested


def test_kill_after_a_child_ran_out_of_memory_is_a_kill(
    database: Database,
    engine: FakeEngine,
    reconciler: Reconciler,
    event_history: ContainerEventHistory,
    running: MakeRunning,
) -> None:
    environment, container = running()
    heard(event_history, engine, container, "oom", "kill", "die", code=137)
    end(engine, container, 137, oom=True)

    reconciler.reconcile(environment)

    assert exits(database) == [("killed", 137)]


@pytest.mark.parametrize(
    ("status", "engine_status", "expected"),
    [
        (RUNNING, "paused", PAUSED),
        (PAUSED, "running", RUNNING),
        (STOPPED, "running", RUNNING),
        (ERROR, "running", RUNNING),
        (STOPPED, "created", STOPPED),
    ],
)
def test_status_follows_the_container(
    database: Database,
    record: MakeRecord,
    container: MakeContainer,
    engine: FakeEngine,
    reconciler: Reconciler,
    status: EnvironmentStatus,
    engine_status: str,
    expected: EnvironmentStatus,
) -> None:
    environment = record(status, error="because" if status is ERROR else None)
    made = container(environment, started=engine_status != "created")
    engine.containers[made].status = engine_status

    assert reconciler.reconcile(environment) is Verdict.TRUE

    found = stored(database, environment)
    assert (found.status, found.container_id, found.error) == (expected, made, None)
    assert exits(database) == []


def test_removed_container_is_an_exit_with_what_was_heard_of_it(
    database: Database,
    engine: FakeEngine,
    reconciler: Reconciler,
    event_history: ContainerEventHistory,
    running: MakeRunning,
) -> None:
    unseen, container = running()
    del engine.containers[container]
    seen, other = running()
    heard(event_history, engine, other, "die", code=3)
    del engine.containers[other]

    for environment in (unseen, seen):
        reconciler.reconcile(environment)

    found = stored(database, unseen)
    assert (found.status, found.exit_reason, found.container_id) == (ERROR, "killed", None)
    assert str(found.error).startswith("The container was removed outside VibeBox; start makes")
    assert stored(database, seen).exit_reason == "error"
    assert sorted(exits(database), key=str) == [("error", 3), ("killed", None)]


@pytest.mark.parametrize("status", [STOPPED, ERROR])
def test_removed_container_at_rest_changes_no_status(
    database: Database,
    engine: FakeEngine,
    record: MakeRecord,
    reconciler: Reconciler,
    status: EnvironmentStatus,
) -> None:
    environment = record(status, container_id="gone", error="because")

    reconciler.reconcile(environment)

    found = stored(database, environment)
    assert (found.status, found.container_id, found.error) == (status, None, "because")
    assert exits(database) == []


def test_restart_behind_our_back_ends_one_run_and_begins_another(
    database: Database,
    engine: FakeEngine,
    reconciler: Reconciler,
    event_history: ContainerEventHistory,
    running: MakeRunning,
) -> None:
    environment, container = running()
    before = stored(database, environment).run_started
    heard(event_history, engine, container, "kill", "die", code=143)
    engine.restart(container, 1)

    reconciler.reconcile(environment)

    found = stored(database, environment)
    assert (found.status, found.exit_reason) == (RUNNING, "killed")
    assert found.run_started != before
    assert exits(database) == [("killed", 143)]


def test_ends_from_before_runs_were_recorded_are_no_news(
    database: Database, record: MakeRecord, container: MakeContainer, engine: FakeEngine
) -> None:
    environment = record(STOPPED)
    made = container(environment)
    end(engine, made, 137)
    change(database, environment, container_id=made)
    reconciler = Reconciler(
        database, engine, ContainerEventHistory(), instance=InstallationId(database), fence=unfenced
    )

    reconciler.reconcile(environment)

    found = stored(database, environment)
    assert (found.status, found.exit_reason) == (STOPPED, None)
    assert found.run_started is not None
    assert exits(database) == []


def test_live_passage_is_left_alone(
    database: Database, record: MakeRecord, container: MakeContainer, reconciler: Reconciler
) -> None:
    heartbeat = Heartbeat(database)
    with database.writing() as session:
        holder = heartbeat.ensure(session)
    held = record(STARTING, held_by=holder)
    container(held)
    pulling = record(STARTING)
    with database.writing() as session:
        session.add(ImagePull(environment_id=pulling, image=IMAGE))

    for environment in (held, pulling):
        assert reconciler.reconcile(environment) is Verdict.PASSING
        assert stored(database, environment).status == STARTING


@pytest.mark.parametrize(
    ("transition", "state", "expected", "reason"),
    [
        (STARTING, "running", RUNNING, None),
        (STARTING, "absent", STOPPED, None),
        (STARTING, "created", STOPPED, None),
        (STOPPING, "running", RUNNING, None),
        (STOPPING, "exited", STOPPED, "user"),
        (STOPPING, "absent", STOPPED, "user"),
    ],
)
def test_abandoned_passage_is_healed(
    database: Database,
    running: MakeRunning,
    record: MakeRecord,
    container: MakeContainer,
    engine: FakeEngine,
    reconciler: Reconciler,
    transition: EnvironmentStatus,
    state: str,
    expected: EnvironmentStatus,
    reason: str | None,
) -> None:
    if transition is STOPPING:
        environment, made = running()
    else:
        environment = record(STOPPED)
        made = container(environment, started=state == "running")
    change(database, environment, status=transition, held_by="dead", end_requested=True)
    if state == "exited":
        end(engine, made, 143)
    elif state == "absent":
        del engine.containers[made]

    reconciler.reconcile(environment)

    found = stored(database, environment)
    assert (found.status, found.held_by, found.exit_reason) == (expected, None, reason)
    assert len(exits(database)) == (1 if reason else 0)


def test_container_of_another_vibebox_is_not_this_ones(
    database: Database, record: MakeRecord, container: MakeContainer, reconciler: Reconciler
) -> None:
    environment = record(STOPPED)
    container(environment, instance="another")

    reconciler.reconcile(environment)

    assert stored(database, environment).status == STOPPED


def test_nothing_changes_while_docker_is_down(
    database: Database, engine: FakeEngine, reconciler: Reconciler, running: MakeRunning
) -> None:
    environment, _ = running()
    engine.failures["*"] = Failure.UNREACHABLE

    with pytest.raises(EngineUnreachableError):
        reconciler.reconcile(environment)

    assert stored(database, environment).status == RUNNING


def test_who_may_not_write_writes_nothing_and_the_drift_stays(
    database: Database, engine: FakeEngine, running: MakeRunning, instance: InstallationId
) -> None:
    environment, container = running()
    end(engine, container, 1)
    drift: list[bool] = []

    def lost(session: Session) -> None:
        raise LeadershipLostError

    reconciler = Reconciler(
        database,
        engine,
        ContainerEventHistory(),
        instance=instance,
        fence=lost,
        on_drift=lambda _, differs: drift.append(differs),
    )
    with pytest.raises(LeadershipLostError):
        reconciler.reconcile(environment)

    assert drift == [True]
    assert stored(database, environment).status == RUNNING
    assert exits(database) == []


def test_unknown_environment_is_nobodys(reconciler: Reconciler) -> None:
    assert reconciler.reconcile("none") is Verdict.UNKNOWN
