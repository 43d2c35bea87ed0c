"""What becomes of an environment when Docker or a process fails in the middle of a change."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask_openapi3 import OpenAPI
from sqlalchemy import select, update

from app.core.errors import LimitsRefusedError
from app.storage import ContainerExit, Environment, EnvironmentStatus, utc_now
from tests.support.application import User, parts
from tests.support.checks import assert_problem
from tests.support.fakes import Failure, FakeEngine
from tests.web.api.test_environments import body, one

STOPPED, RUNNING = "stopped", "running"


def status(user: User, identity: str) -> tuple[str, str | None]:
    found = body(user.get(one(identity)))
    return found["status"], found["error"]


@pytest.fixture
def environment(user: User) -> str:
    return user.new_environment(ports=[{"container_port": 80}])


@pytest.fixture
def running(user: User, environment: str) -> str:
    """An environment that runs."""
    user.post(one(environment, "start"))
    return environment


@pytest.mark.parametrize("failure", [Failure.UNREACHABLE, Failure.TIMED_OUT])
def test_engine_that_is_down_changes_nothing(
    user: User, running: str, engine: FakeEngine, subtests: pytest.Subtests, failure: Failure
) -> None:
    for action in ("restart", "stop", "DELETE", "start"):
        if action == "start":
            user.post(one(running, "stop"))
        before = body(user.get(one(running)))
        with subtests.test(action):
            engine.failures["*"] = failure
            if action == "DELETE":
                response = user.send(action, one(running))
            else:
                response = user.post(one(running, action))
            engine.failures.clear()

            assert_problem(response, 503, "engine-unreachable")
            assert response.headers["Retry-After"]
            after = body(user.get(one(running)))
            assert {**after, "updated_at": ""} == {**before, "updated_at": ""}


def test_missing_image_is_named_and_recorded(
    user: User, environment: str, engine: FakeEngine
) -> None:
    engine.images.clear()
    response = user.post(one(environment, "start"), json={"pull": "never"})

    detail = assert_problem(response, 422, "image-missing")["detail"]
    assert "'busybox:1'" in detail
    assert status(user, environment) == ("error", detail)
    engine.images.add("busybox:1")
    assert body(user.post(one(environment, "start")))["status"] == RUNNING
    assert status(user, environment) == (RUNNING, None)


@pytest.mark.parametrize(
    ("failure", "code", "slug"),
    [
        (Failure.FAULTY, 502, "engine-failure"),
        (Failure.PORT_TAKEN, 409, "port-taken"),
        (Failure.EXECUTABLE_MISSING, 422, "executable-missing"),
    ],
)
def test_failed_start_is_recorded_with_its_reason(
    user: User, environment: str, engine: FakeEngine, failure: Failure, code: int, slug: str
) -> None:
    engine.failures["start"] = failure
    response = user.post(one(environment, "start"))

    detail = assert_problem(response, code, slug)["detail"]
    assert status(user, environment) == ("error", detail)


def test_container_with_limits_of_before_gets_those_of_its_record(
    user: User, running: str, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `cpu_limit` of before, below what Docker takes, stands in containers after an upgrade."""
    user.post(one(running, "stop"))
    (container,) = engine.containers.values()
    container.spec = replace(container.spec, cpu_limit=0.0055)
    launch = engine._launch

    def strict(name: str) -> None:
        if container.spec.cpu_limit < 0.01:
            raise LimitsRefusedError
        launch(name)

    monkeypatch.setattr(engine, "_launch", strict)

    assert body(user.post(one(running, "start")))["status"] == RUNNING
    assert container.spec.cpu_limit == body(user.get(one(running)))["cpu_limit"]


def test_bug_is_recorded_without_its_text(user: User, environment: str, engine: FakeEngine) -> None:
    engine.failures["start"] = Failure.BUG
    response = user.post(one(environment, "start"))

    assert_problem(response, 500, "internal-server-error")
    assert status(user, environment) == ("error", "Something went wrong on our side.")


def test_container_that_ends_at_once_is_an_error(
    user: User, environment: str, engine: FakeEngine
) -> None:
    engine.ends_with = 3
    started = body(user.post(one(environment, "start")))

    assert (started["status"], started["published_ports"]) == ("error", [])
    assert "with exit code 3" in started["error"]


def test_start_that_was_late_but_carried_out_is_running(
    user: User, environment: str, engine: FakeEngine
) -> None:
    engine.failures["start"] = Failure.LATE
    response = user.post(one(environment, "start"))

    assert_problem(response, 504, "engine-timeout")
    found = body(user.get(one(environment)))
    assert found["status"] == RUNNING
    assert found["published_ports"]


def test_start_that_was_not_carried_out_is_an_error(
    user: User, environment: str, engine: FakeEngine
) -> None:
    engine.failures["start"] = Failure.TIMED_OUT

    assert_problem(user.post(one(environment, "start")), 504, "engine-timeout")
    assert status(user, environment)[0] == "error"


@pytest.mark.parametrize(
    ("failure", "expected"), [(Failure.LATE, STOPPED), (Failure.TIMED_OUT, RUNNING)]
)
def test_stop_without_an_answer_is_looked_at_again(
    user: User, running: str, engine: FakeEngine, failure: Failure, expected: str
) -> None:
    engine.failures["stop"] = failure

    assert_problem(user.post(one(running, "stop")), 504, "engine-timeout")
    assert status(user, running) == (expected, None)


def test_create_without_an_answer_is_found_by_the_next_start(
    user: User, environment: str, engine: FakeEngine
) -> None:
    engine.failures["create"] = Failure.LATE
    assert_problem(user.post(one(environment, "start")), 504, "engine-timeout")
    engine.failures.clear()

    assert user.send("DELETE", one(environment)).status_code == 204
    assert engine.containers == {}  # by its name: the id was never known


def test_container_that_is_gone_is_made_anew(user: User, running: str, engine: FakeEngine) -> None:
    engine.containers.clear()

    assert body(user.post(one(running, "restart")))["status"] == RUNNING
    assert len(engine.containers) == 1


@pytest.mark.parametrize("action", ["stop", "DELETE"])
def test_container_that_is_gone_is_stopped(
    user: User, running: str, engine: FakeEngine, action: str
) -> None:
    engine.containers.clear()
    if action == "stop":
        assert body(user.post(one(running, "stop")))["status"] == STOPPED
    else:
        assert user.send("DELETE", one(running)).status_code == 204


def test_failed_restart_leaves_no_published_port(
    user: User, running: str, engine: FakeEngine
) -> None:
    engine.containers.clear()
    engine.images.clear()
    assert_problem(user.post(one(running, "restart")), 422, "image-missing")

    found = body(user.get(one(running)))
    assert (found["status"], found["published_ports"]) == ("error", [])


def test_environment_that_never_ran_is_deleted_without_docker(
    user: User, environment: str, engine: FakeEngine
) -> None:
    engine.failures["*"] = Failure.UNREACHABLE

    assert user.send("DELETE", one(environment)).status_code == 204


def test_of_two_starts_at_once_one_gets_a_conflict(
    app: OpenAPI, user: User, environment: str, engine: FakeEngine
) -> None:
    engine.gate = threading.Event()
    answers: list[Any] = []
    first = threading.Thread(target=lambda: answers.append(user.post(one(environment, "start"))))
    first.start()
    assert engine.started.wait(10)

    other = User(app.test_client(), user.email, user.tokens)
    second = other.post(one(environment, "start"))
    during = status(other, environment)
    engine.gate.set()
    first.join(10)

    assert_problem(second, 409, "environment-conflict")
    assert during == ("starting", None)
    assert body(answers[0])["status"] == RUNNING
    assert engine.calls.count("start") == 1


Abandon = Callable[[str, EnvironmentStatus], None]
DEAD = "a-process-that-died"


@pytest.fixture
def abandon(app: OpenAPI) -> Abandon:
    """A function that leaves an environment in a transition, as a killed process does."""

    def leave(identity: str, transition: EnvironmentStatus, hours: int = 1) -> None:
        with parts(app).database.writing() as session:
            since = utc_now() - timedelta(hours=hours)
            session.execute(
                update(Environment).values(status=transition, status_changed_at=since, held_by=DEAD)
            )

    return leave


@pytest.mark.parametrize("transition", [EnvironmentStatus.STARTING, EnvironmentStatus.STOPPING])
def test_abandoned_passage_is_taken_over(
    user: User,
    environment: str,
    abandon: Abandon,
    subtests: pytest.Subtests,
    transition: EnvironmentStatus,
) -> None:
    for action, expected in (("start", RUNNING), ("stop", STOPPED), ("restart", RUNNING)):
        with subtests.test(action):
            abandon(environment, transition)

            assert body(user.post(one(environment, action)))["status"] == expected
            assert status(user, environment) == (expected, None)


@pytest.mark.parametrize("how", ["PATCH", "start"])
def test_abandoned_passage_is_told_where_its_change_ends_in_error(
    user: User, environment: str, engine: FakeEngine, abandon: Abandon, how: str
) -> None:
    abandon(environment, EnvironmentStatus.STARTING)
    if how == "PATCH":
        user.send("PATCH", one(environment), json={"cpu_limit": 2})
    else:
        engine.failures["*"] = Failure.UNREACHABLE
        user.post(one(environment, "start"))

    assert status(user, environment) == ("error", "An earlier change was cut off before its end.")


def test_passage_that_was_taken_over_is_not_ended_by_its_first_holder(
    app: OpenAPI, user: User, environment: str, engine: FakeEngine, abandon: Abandon
) -> None:
    engine.gate = threading.Event()
    first = threading.Thread(target=lambda: user.post(one(environment, "start")))
    first.start()
    assert engine.started.wait(10)
    abandon(environment, EnvironmentStatus.STARTING)
    other = User(app.test_client(), user.email, user.tokens)
    assert body(other.post(one(environment, "stop")))["status"] == STOPPED

    engine.gate.set()
    first.join(10)

    assert status(other, environment) == (STOPPED, None)


@pytest.mark.parametrize("action", ["start", "restart", "delete"])
def test_end_that_was_told_once_keeps_its_reason(
    app: OpenAPI, user: User, running: str, action: str
) -> None:
    """A container that was stopped looks killed to whoever comes upon it later."""
    assert body(user.post(one(running, "stop")))["exit_reason"] == "user"

    if action == "delete":
        assert user.send("DELETE", one(running)).status_code == 204
    else:
        found = body(user.post(one(running, "start")))
        if action == "restart":
            found = body(user.post(one(running, "restart")))
        assert (found["status"], found["exit_reason"]) == ("running", "user")

    with parts(app).database.reading() as session:
        reasons = session.scalars(select(ContainerExit.reason)).all()
    assert set(reasons) == {"user"}
