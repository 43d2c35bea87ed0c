"""Pause, volume, use, expiry, and what is told of starts."""

from datetime import timedelta
from typing import Any

import pytest
from flask_openapi3 import OpenAPI
from sqlalchemy import select, update

from app.core.errors import EngineUnreachableError
from app.domain.environments.containers import InstallationId
from app.engine import INSTANCE_LABEL
from app.storage import AuditEntry, Environment, utc_now
from tests.support.application import User, parts
from tests.support.checks import assert_problem, moved
from tests.support.fakes import IMAGE, Failure, FakeEngine
from tests.web.api.test_environments import ENVIRONMENTS, body, one

DURATIONS = "vibebox_environment_start_duration_seconds_count"


@pytest.fixture
def running(user: User) -> str:
    """An environment that runs."""
    identity = user.new_environment()
    assert body(user.post(one(identity, "start")))["status"] == "running"
    return identity


def audited(app: OpenAPI) -> list[tuple[str, str]]:
    with parts(app).database.reading() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(entry.action, entry.actor) for entry in entries if "environment." in entry.action]


def test_pause_and_back(app: OpenAPI, user: User, running: str, engine: FakeEngine) -> None:
    assert body(user.post(one(running, "pause")))["status"] == "paused"
    assert engine.only().status == "paused"
    assert_problem(user.post(one(running, "pause")), 409, "environment-conflict")

    assert body(user.post(one(running, "unpause")))["status"] == "running"
    assert engine.only().status == "running"
    assert_problem(user.post(one(running, "unpause")), 409, "environment-conflict")
    assert [action for action, _ in audited(app)][-2:] == [
        "environment.pause",
        "environment.unpause",
    ]


def test_pause_of_what_is_paused_already_records_it(
    user: User, running: str, engine: FakeEngine
) -> None:
    engine.only().status = "paused"

    assert body(user.post(one(running, "pause")))["status"] == "paused"
    assert "pause" not in engine.calls


@pytest.mark.parametrize("how", ["ended", "gone", "conflict"])
def test_pause_of_what_does_not_run_changes_nothing(
    user: User, running: str, engine: FakeEngine, how: str
) -> None:
    if how == "ended":
        engine.only().status = "exited"
    elif how == "gone":
        engine.containers.clear()
    else:
        engine.failures["pause"] = Failure.CONFLICT

    assert user.post(one(running, "pause")).status_code == 409
    assert body(user.get(one(running)))["status"] == "running"  # the agent finds out the truth


def test_volume_outlives_the_container(user: User, running: str, engine: FakeEngine) -> None:
    name = f"vibebox-{running}"
    mount = engine.only().spec.volume
    assert mount is not None and (mount.name, mount.path) == (name, "/workspace")
    user.post(one(running, "stop"))

    user.send("PATCH", one(running), json={"env": {"A": "b"}, "volume_path": None})

    assert (engine.containers, set(engine.volumes)) == ({}, {name})
    user.post(one(running, "start"))
    assert engine.only().spec.volume is None
    assert user.send("DELETE", one(running)).status_code == 204
    assert engine.volumes == {}


def test_container_and_volume_carry_the_installation(
    app: OpenAPI, user: User, running: str, engine: FakeEngine
) -> None:
    instance = InstallationId(parts(app).database)()

    assert engine.only().spec.instance == instance
    assert engine.volumes[f"vibebox-{running}"] == {
        "vibebox.environment": running,
        INSTANCE_LABEL: instance,
    }


def test_environment_without_a_volume_has_none(user: User, engine: FakeEngine) -> None:
    user.post(one(user.new_environment(volume_path=None), "start"))

    assert (engine.only().spec.volume, engine.volumes) == (None, {})


def test_volume_that_something_else_uses_is_told(
    user: User, running: str, engine: FakeEngine
) -> None:
    engine.failures["volume_remove"] = Failure.CONFLICT

    detail = assert_problem(user.send("DELETE", one(running)), 409, "engine-conflict")["detail"]

    assert f"vibebox-{running}" in detail
    engine.failures.clear()
    assert user.send("DELETE", one(running)).status_code == 204


@pytest.mark.parametrize(
    ("path", "kept"),
    [("/data", "/data"), ("/data/", "/data"), ("//a//b", "/a/b"), ("/a/./b", "/a/b")],
)
def test_volume_path_is_kept_in_its_plain_form(user: User, path: str, kept: str) -> None:
    assert body(user.get(one(user.new_environment(volume_path=path))))["volume_path"] == kept


@pytest.mark.parametrize("path", ["", "data", "/", "//", "/.", "/a/../b", "/a:b", "/a\n", 5])
def test_volume_path_has_its_rules(user: User, path: Any) -> None:
    response = user.post(ENVIRONMENTS, json={"name": "x", "image": IMAGE, "volume_path": path})

    errors = assert_problem(response, 422, "invalid-input")["errors"]
    assert [error["field"] for error in errors] == ["volume_path"]


def test_stats_of_a_running_environment(user: User, running: str) -> None:
    shown = body(user.get(one(running, "stats")))

    assert (shown["cpu_percent"], shown["cpu_seconds"], shown["pids"]) == (50.0, 1.5, 5)
    assert shown["memory_limit_bytes"] == 1024 * 2**20
    assert (shown["memory_bytes"], shown["memory_percent"]) == (512 * 2**20, 50.0)
    assert (shown["network_rx_bytes"], shown["network_tx_bytes"]) == (1, 2)
    assert (shown["block_read_bytes"], shown["block_write_bytes"]) == (3, 4)


def test_stats_need_a_running_container(user: User, running: str, engine: FakeEngine) -> None:
    engine.only().status = "exited"
    assert_problem(user.get(one(running, "stats")), 409, "environment-conflict")
    engine.containers.clear()
    assert_problem(user.get(one(running, "stats")), 409, "environment-conflict")
    user.post(one(running, "stop"))
    assert_problem(user.get(one(running, "stats")), 409, "environment-conflict")


@pytest.mark.parametrize(
    "moment", [timedelta(seconds=-1), timedelta(days=366), "2030-01-01T00:00:00", "soon"]
)
def test_expiry_has_its_rules(user: User, moment: Any) -> None:
    at = (utc_now() + moment).isoformat() if isinstance(moment, timedelta) else moment
    response = user.post(ENVIRONMENTS, json={"name": "x", "image": IMAGE, "expires_at": at})

    errors = assert_problem(response, 422, "invalid-input")["errors"]
    assert [error["field"] for error in errors] == ["expires_at"]


def test_expiry_is_set_and_cleared(user: User) -> None:
    at = (utc_now() + timedelta(hours=1)).isoformat()
    identity = user.new_environment(expires_at=at)
    assert body(user.get(one(identity)))["expires_at"] is not None

    changed = body(user.send("PATCH", one(identity), json={"expires_at": None}))
    assert changed["expires_at"] is None


def expire(app: OpenAPI, identity: str) -> None:
    past = utc_now() - timedelta(seconds=1)
    with parts(app).database.writing() as session:
        session.execute(
            update(Environment).where(Environment.id == identity).values(expires_at=past)
        )


def test_expired_environments_go_with_all_they_have(
    app: OpenAPI, user: User, running: str, engine: FakeEngine
) -> None:
    pulling = user.new_environment("pulling", image="remote:1")
    user.post(one(pulling, "start"))
    kept = user.new_environment("kept")
    expire(app, running)
    expire(app, pulling)

    for identity in (running, pulling):
        parts(app).environments.expire(identity, utc_now())

    assert (engine.containers, engine.volumes) == ({}, {})
    assert [item["id"] for item in body(user.get(ENVIRONMENTS))["items"]] == [kept]
    assert audited(app)[-1] == ("environment.expire", "vibebox")
    parts(app).environments.expire(kept, utc_now())
    assert body(user.get(one(kept)))["status"] == "stopped"  # its time is not over


def test_expired_environment_is_tried_again(
    app: OpenAPI, user: User, running: str, engine: FakeEngine
) -> None:
    expire(app, running)
    engine.failures["*"] = Failure.UNREACHABLE
    with pytest.raises(EngineUnreachableError):
        parts(app).environments.expire(running, utc_now())
    assert body(user.get(one(running)))["status"] == "running"

    engine.failures.clear()
    parts(app).environments.expire(running, utc_now())
    assert engine.containers == {}


@pytest.mark.parametrize(
    ("method", "failure", "outcome"),
    [
        ("none", Failure.BUG, "success"),
        ("exec", Failure.EXECUTABLE_MISSING, "success"),
        ("exec", Failure.TIMED_OUT, "user_error"),
        ("start", Failure.EXECUTABLE_MISSING, "user_error"),
        ("start", Failure.PORT_TAKEN, "user_error"),
        ("start", Failure.TIMED_OUT, "failure"),
        ("create", Failure.FAULTY, "failure"),
        ("inspect_image", Failure.UNREACHABLE, "failure"),
        ("start", Failure.BUG, "failure"),
    ],
)
def test_end_of_a_start_is_told(
    user: User, engine: FakeEngine, method: str, failure: Failure, outcome: str
) -> None:
    identity = user.new_environment()
    engine.failures[method] = failure

    with moved(DURATIONS) as starts:
        user.post(one(identity, "start"))

    assert starts == {(outcome,): 1}


def test_container_that_ends_at_once_is_the_users_error(user: User, engine: FakeEngine) -> None:
    engine.ends_with = 3
    with moved(DURATIONS) as starts:
        user.post(one(user.new_environment(), "start"))

    assert starts == {("user_error",): 1}


def test_refused_start_is_no_start(user: User, running: str) -> None:
    with moved(DURATIONS) as starts:
        assert_problem(user.post(one(running, "start")), 409, "environment-conflict")

    assert starts == {}


def test_container_that_does_not_answer_runs_all_the_same(user: User, engine: FakeEngine) -> None:
    engine.failures["exec"] = Failure.TIMED_OUT

    assert body(user.post(one(user.new_environment(), "start")))["status"] == "running"


def test_container_that_ends_while_it_answers_is_an_error(user: User, engine: FakeEngine) -> None:
    engine.after_exec = lambda: setattr(engine.only(), "status", "exited")
    assert body(user.post(one(user.new_environment(), "start")))["status"] == "error"


@pytest.mark.parametrize("failure", [Failure.TIMED_OUT, Failure.FAULTY])
def test_container_that_has_answered_has_started_whatever_the_engine_says_next(
    user: User, engine: FakeEngine, caplog: pytest.LogCaptureFixture, failure: Failure
) -> None:
    engine.after_exec = lambda: engine.failures.update(inspect=failure)
    with moved(DURATIONS) as starts:
        assert body(user.post(one(user.new_environment(), "start")))["status"] == "running"
    assert starts == {("success",): 1}
    assert "does not answer" not in caplog.text


def test_container_that_ends_before_it_answers_is_an_error(user: User, engine: FakeEngine) -> None:
    identity = user.new_environment()
    engine.during_exec = lambda: setattr(engine.only(), "status", "exited")

    with moved(DURATIONS) as starts:
        started = body(user.post(one(identity, "start")))

    assert (started["status"], starts) == ("error", {("user_error",): 1})
