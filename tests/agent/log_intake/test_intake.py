"""The intake with a Docker in memory: nothing lost, nothing twice, whatever is interrupted."""

import random
import threading
import time
from collections.abc import Callable

import pytest
from sqlalchemy import delete
from sqlalchemy.orm import Session

from app.agent.log_intake.intake import LogIntake
from app.domain.durable_counters import DurableCounters
from app.engine import LogLine
from app.storage import Database, Environment
from app.storage.fence import unfenced
from tests.agent.log_intake.conftest import IntakeFactory
from tests.agent.log_intake.support import (
    DIRECTORY,
    AnswerLost,
    assert_usage_is_exact,
    counted,
    record,
    running_container,
    stored,
)
from tests.backends.programs import wait_until
from tests.support.fakes import Failure, FakeEngine

SOON = 30.0  # seconds; far above what is expected


@pytest.fixture
def container(engine: FakeEngine, environment: str) -> str:
    return running_container(engine, environment)


def ended(intake: LogIntake) -> Callable[[], bool]:
    return lambda: not intake.following()


def test_both_streams_are_taken_in_until_the_container_ends(
    database: Database,
    engine: FakeEngine,
    environment: str,
    container: str,
    make_intake: IntakeFactory,
) -> None:
    log = engine.log_lines[container]
    log += [record(b"one", 10), record(b"bad", 10, stream="stderr")]
    intake = make_intake(engine)
    intake.follow(environment, container)
    wait_until(lambda: len(stored(database)) == 2, SOON)
    log += [record(b"two", 10), record(b"three", 20), record(b"open end", 30, partial=True)]
    wait_until(lambda: stored(database, "stdout") == ["one", "two", "three"], SOON)
    assert intake.following() == {container}

    engine.stop(container, 0)

    wait_until(ended(intake), SOON)
    assert stored(database, "stdout") == ["one", "two", "three", "open end"]
    assert counted(database) == {"stdout": 4, "stderr": 1}
    assert_usage_is_exact(database)


def test_one_reader_however_often_it_is_followed(
    engine: FakeEngine, environment: str, container: str, make_intake: IntakeFactory
) -> None:
    before = threading.active_count()
    intake = make_intake(engine)
    for _ in range(5):
        intake.follow(environment, container)
    assert threading.active_count() == before + 2  # a reader and the writer

    intake.close(SOON)
    assert threading.active_count() == before
    intake.follow(environment, container)
    assert intake.following() == set()


def test_container_that_starts_again_is_read_on(
    database: Database,
    engine: FakeEngine,
    environment: str,
    container: str,
    make_intake: IntakeFactory,
) -> None:
    intake = make_intake(engine)
    for run in range(3):
        engine.log_lines[container].append(record(str(run).encode(), run))
        intake.follow(environment, container)
        engine.stop(container, 0)
        wait_until(ended(intake), SOON)
        engine.start(container)
    assert stored(database) == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("method", "failure"),
    [
        ("logs", Failure.FAULTY),
        ("stream", Failure.LOST),
        ("stream", Failure.TIMED_OUT),
        ("inspect", Failure.LOST),
    ],
)
def test_lost_stream_is_taken_up_where_it_ended(
    database: Database,
    engine: FakeEngine,
    environment: str,
    container: str,
    make_intake: IntakeFactory,
    failure: Failure,
    method: str,
) -> None:
    log = engine.log_lines[container]
    log += [record(b"one", 10), record(b"two", 10)]
    intake = make_intake(engine)
    intake.follow(environment, container)
    wait_until(lambda: len(stored(database)) == 2, SOON)

    engine.failures = {method: failure}
    time.sleep(0.3)
    log += [record(b"three", 10), record(b"four", 11)]
    engine.failures = {}
    engine.stop(container, 0)

    wait_until(ended(intake), SOON)
    assert stored(database) == ["one", "two", "three", "four"]


def test_removed_container_ends_its_reader(
    engine: FakeEngine, environment: str, container: str, make_intake: IntakeFactory
) -> None:
    intake = make_intake(engine)
    engine.remove(container)
    intake.follow(environment, container)
    wait_until(ended(intake), SOON)


def test_fence_that_refuses_drops_all_and_the_next_leader_stores_all(
    database: Database,
    engine: FakeEngine,
    environment: str,
    container: str,
    make_intake: IntakeFactory,
) -> None:
    leading = threading.Event()

    def fence(_session: Session) -> None:
        if not leading.is_set():
            raise RuntimeError("somebody else leads")

    engine.log_lines[container] += [record(b"one", 1), record(b"two", 2)]
    deposed = make_intake(engine, fence)
    deposed.follow(environment, container)
    wait_until(ended(deposed), SOON)
    assert stored(database) == []
    assert counted(database) == {}

    make_intake(engine).follow(environment, container)
    wait_until(lambda: stored(database) == ["one", "two"], SOON)

    # Elected again, the first one goes on from where the other one is.
    leading.set()
    engine.log_lines[container].append(record(b"three", 3))
    wait_until(lambda: len(stored(database)) == 3, SOON)
    deposed.follow(environment, container)
    engine.stop(container, 0)
    wait_until(ended(deposed), SOON)
    assert stored(database) == ["one", "two", "three"]
    assert counted(database) == {"stdout": 3}


def test_two_intakes_at_once_store_each_line_once(
    database: Database,
    engine: FakeEngine,
    environment: str,
    container: str,
    make_intake: IntakeFactory,
) -> None:
    """A fence that fails to fence: the cursor alone keeps lines from being stored twice."""
    intakes = [make_intake(engine), make_intake(engine)]
    expected = [str(number) for number in range(100)]
    for number in range(100):
        engine.log_lines[container].append(record(str(number).encode(), number // 3))
        for intake in intakes:
            intake.follow(environment, container)
        time.sleep(0.005)
    engine.stop(container, 0)
    while stored(database) != expected:
        for intake in intakes:
            intake.follow(environment, container)
        wait_until(lambda: not any(intake.following() for intake in intakes), SOON)
    assert counted(database) == {"stdout": 100}


def test_commit_without_an_answer_is_not_repeated(
    database: Database, engine: FakeEngine, environment: str, container: str
) -> None:
    forgetful = AnswerLost(database)
    intake = LogIntake(forgetful, engine, DurableCounters(DIRECTORY), unfenced)
    try:
        engine.log_lines[container] += [record(b"one", 1), record(b"two", 2)]
        intake.follow(environment, container)
        wait_until(lambda: len(stored(database)) == 2, SOON)
        time.sleep(0.3)
        forgetful.losing = False
        engine.stop(container, 0)
        wait_until(ended(intake), SOON)
    finally:
        intake.close(SOON)
    assert stored(database) == ["one", "two"]
    assert counted(database) == {"stdout": 2}


def test_deleted_environment_ends_its_reader_and_no_other(
    database: Database,
    engine: FakeEngine,
    environment: str,
    container: str,
    make_intake: IntakeFactory,
) -> None:
    intake = make_intake(engine)
    intake.follow(environment, container)
    gone = running_container(engine, "no-such-environment")
    engine.log_lines[gone].append(record(b"lost", 1))
    intake.follow("no-such-environment", gone)
    wait_until(lambda: intake.following() == {container}, SOON)

    engine.log_lines[container].append(record(b"kept", 1))
    wait_until(lambda: stored(database) == ["kept"], SOON)
    with database.writing() as session:
        session.execute(delete(Environment))
    engine.log_lines[container].append(record(b"late", 2))
    wait_until(ended(intake), SOON)
    assert stored(database) == []


def test_line_that_cannot_be_stored_stops_its_container_only_and_is_not_logged(
    database: Database,
    engine: FakeEngine,
    environment: str,
    container: str,
    make_intake: IntakeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with database.writing() as session:
        project = session.get_one(Environment, environment).project_id
        other = Environment(
            project_id=project, name="other", image="x", cpu_limit=1, memory_limit_mb=9
        )
        session.add(other)
    bad = running_container(engine, other.id)
    engine.log_lines[bad] += [record(b"secret", 1), record(b"secret", 2**63)]
    engine.log_lines[container] += [record(b"fine", 1)]
    intake = make_intake(engine)
    intake.follow(other.id, bad)
    intake.follow(environment, container)

    wait_until(lambda: intake.following() == {container}, SOON)
    wait_until(lambda: stored(database) == ["fine"], SOON)
    assert "log lines not stored" in caplog.text
    assert "secret" not in caplog.text


def test_close_stores_what_was_read(
    database: Database,
    engine: FakeEngine,
    environment: str,
    container: str,
    make_intake: IntakeFactory,
) -> None:
    intake = make_intake(engine)
    intake.follow(environment, container)
    engine.log_lines[container] += [record(b"x", number) for number in range(50)]
    wait_until(lambda: len(stored(database)) > 0, SOON)

    intake.close(SOON)

    before = stored(database)
    follower = make_intake(engine)
    follower.follow(environment, container)
    engine.stop(container, 0)
    wait_until(ended(follower), SOON)
    assert len(before) <= len(stored(database)) == 50


def test_restarts_at_random_moments(
    database: Database,
    engine: FakeEngine,
    environment: str,
    container: str,
    make_intake: IntakeFactory,
) -> None:
    choose = random.Random(20)
    made: list[LogLine] = []
    times = {"stdout": 1000, "stderr": 1000}
    intake = make_intake(engine)
    for number in range(300):
        stream = choose.choice(["stdout", "stdout", "stderr"])
        times[stream] += choose.choice([0, 1, 7])
        made.append(record(str(number).encode(), times[stream], stream=stream))
        engine.log_lines[container].append(made[-1])
        intake.follow(environment, container)
        if choose.random() < 0.04:
            intake.close(choose.choice([0, SOON]))
            intake = make_intake(engine)
    engine.stop(container, 0)
    intake.follow(environment, container)
    wait_until(ended(intake), SOON)
    for stream in ("stdout", "stderr"):
        assert stored(database, stream) == [
            line.text.decode() for line in made if line.stream == stream
        ]
    assert counted(database) == {
        stream: sum(line.stream == stream for line in made) for stream in ("stdout", "stderr")
    }
    assert_usage_is_exact(database)
