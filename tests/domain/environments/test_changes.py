"""PATCH: what may change when, and what becomes of the container."""

from typing import Any

import pytest

from tests.support.application import User
from tests.support.checks import assert_problem
from tests.support.fakes import IMAGE, Failure, FakeEngine
from tests.web.api.test_environments import body, one


def change(user: User, identity: str, **fields: Any) -> dict[str, Any]:
    return body(user.send("PATCH", one(identity), json=fields))


@pytest.fixture
def environment(user: User) -> str:
    """An environment that was started and stopped: it has a container."""
    identity = user.new_environment("first")
    user.post(one(identity, "start"))
    user.post(one(identity, "stop"))
    return identity


def test_name_may_change_while_it_runs(user: User, environment: str, engine: FakeEngine) -> None:
    user.post(one(environment, "start"))

    changed = change(user, environment, name="second")

    assert (changed["name"], changed["status"]) == ("second", "running")
    assert engine.only().status == "running"


def test_nothing_to_change_is_fine(user: User, environment: str, engine: FakeEngine) -> None:
    before = body(user.get(one(environment)))

    changed = change(user, environment)

    assert {**changed, "updated_at": ""} == {**before, "updated_at": ""}
    assert len(engine.containers) == 1


def test_other_fields_go_into_a_new_container(
    user: User, environment: str, engine: FakeEngine, subtests: pytest.Subtests
) -> None:
    engine.images.add("other:1")
    changes: dict[str, Any] = {
        "image": "other:1",
        "env": {"A": "b"},
        "ports": [{"container_port": 80, "host_port": None, "protocol": "tcp"}],
        "volume_path": "/home/dev",
    }
    for field, value in changes.items():
        with subtests.test(field):
            changed = change(user, environment, **{field: value})

            assert (changed[field], changed["status"]) == (value, "stopped")
            assert engine.containers == {}
            assert body(user.post(one(environment, "start")))["status"] == "running"
            assert len(engine.containers) == 1
            user.post(one(environment, "stop"))


def test_limits_reach_a_container_at_once(
    user: User, environment: str, engine: FakeEngine, subtests: pytest.Subtests
) -> None:
    (container,) = engine.containers
    for number, status in enumerate(("stopped", "running", "paused"), start=1):
        with subtests.test(status):
            if status != "stopped":
                action = "start" if status == "running" else "pause"
                assert body(user.post(one(environment, action)))["status"] == status

            changed = change(user, environment, cpu_limit=number, memory_limit_mb=100 + number)

            assert (changed["cpu_limit"], changed["memory_limit_mb"]) == (number, 100 + number)
            assert changed["status"] == status
            spec = engine.only().spec
            assert (spec.cpu_limit, spec.memory_limit_mb) == (number, 100 + number)
            assert list(engine.containers) == [container]


@pytest.mark.parametrize("failure", [Failure.CONFLICT, Failure.FAULTY, Failure.UNREACHABLE])
def test_refused_limits_change_nothing(
    user: User, environment: str, engine: FakeEngine, failure: Failure
) -> None:
    user.post(one(environment, "start"))
    before = body(user.get(one(environment)))
    engine.failures["update"] = failure

    response = user.send("PATCH", one(environment), json={"name": "new", "memory_limit_mb": 16})

    assert (
        response.status_code == {"CONFLICT": 409, "FAULTY": 502, "UNREACHABLE": 503}[failure.name]
    )
    after = body(user.get(one(environment)))
    assert {**after, "updated_at": ""} == {**before, "updated_at": ""}


def test_what_is_of_the_record_alone_may_change_while_it_runs(
    user: User, environment: str, engine: FakeEngine
) -> None:
    user.post(one(environment, "start"))
    calls = len(engine.calls)

    changed = change(user, environment, pull="never", expires_at=None)

    assert (changed["pull"], changed["expires_at"], changed["status"]) == ("never", None, "running")
    assert len(engine.calls) == calls


def test_null_is_no_value(user: User, subtests: pytest.Subtests) -> None:
    identity = user.new_environment()
    for field in ("name", "image", "env", "ports", "cpu_limit", "memory_limit_mb"):
        with subtests.test(field):
            response = user.send("PATCH", one(identity), json={field: None})

            assert_problem(response, 422, "invalid-input")


def test_environment_without_a_container_may_change_without_docker(
    user: User, engine: FakeEngine
) -> None:
    identity = user.new_environment()
    engine.failures["*"] = Failure.UNREACHABLE

    assert change(user, identity, cpu_limit=2)["cpu_limit"] == 2


def test_change_needs_docker_where_there_is_a_container(
    user: User, environment: str, engine: FakeEngine
) -> None:
    engine.failures["*"] = Failure.UNREACHABLE
    response = user.send("PATCH", one(environment), json={"cpu_limit": 2})

    assert_problem(response, 503, "engine-unreachable")
    found = body(user.get(one(environment)))
    assert (found["status"], found["cpu_limit"]) == ("stopped", 1.0)


@pytest.mark.parametrize("more", [{}, {"cpu_limit": 2}], ids=["name only", "with others"])
def test_taken_name_changes_nothing(
    user: User, environment: str, engine: FakeEngine, more: dict[str, Any]
) -> None:
    user.new_environment("taken")
    response = user.send("PATCH", one(environment), json={"name": "taken", **more})

    assert_problem(response, 409, "environment-name-taken")
    found = body(user.get(one(environment)))
    assert (found["name"], found["status"], found["cpu_limit"]) == ("first", "stopped", 1.0)
    assert len(engine.containers) == 1  # its files are the user's


def test_own_name_is_not_taken(user: User, environment: str) -> None:
    assert change(user, environment, name="first", cpu_limit=2)["cpu_limit"] == 2


def test_change_that_is_late_is_looked_at_again(
    user: User, environment: str, engine: FakeEngine
) -> None:
    engine.failures["remove"] = Failure.TIMED_OUT
    response = user.send("PATCH", one(environment), json={"image": IMAGE})

    assert_problem(response, 504, "engine-timeout")
    assert body(user.get(one(environment)))["status"] == "stopped"
