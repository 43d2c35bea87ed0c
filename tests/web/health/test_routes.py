"""The four health routes: what they say, when, and what they never say."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI
from sqlalchemy import text
from werkzeug.test import TestResponse

from app._version import __version__
from app.agent.leader.lease import Leases
from app.core.errors import StorageUnavailableError
from app.storage import Database
from app.web.lifecycle import Lifecycle
from tests.support.application import parts
from tests.support.fakes import Failure, FakeEngine

MakeApp = Callable[..., OpenAPI]
READY = "/health/ready"


class Worker:
    """gunicorn's worker, as far as its life is read."""

    alive = True


def statuses(response: TestResponse) -> dict[str, str]:
    body: dict[str, Any] = response.get_json()
    return {name: check["status"] for name, check in body["checks"].items()}


@pytest.mark.parametrize("path", ["/health", "/health/live"])
def test_alive(client: FlaskClient, path: str) -> None:
    response = client.get(path)

    body = response.get_json()
    assert response.status_code == 200
    assert set(body) == {"status", "timestamp", "uptime", "version"}
    assert (body["status"], body["version"]) == ("ok", __version__)
    assert body["uptime"] >= 0
    assert datetime.fromisoformat(body["timestamp"]).utcoffset() is not None


@pytest.mark.parametrize("path", ["/health", "/health/live"])
def test_alive_touches_nothing(
    make_app: MakeApp, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    app = make_app(database_url="sqlite:////proc/nowhere/x.db")
    engine.failures["*"] = Failure.UNREACHABLE
    monkeypatch.setattr(Database, "probe", lambda *_: pytest.fail("the database was asked"))

    assert app.test_client().get(path).status_code == 200
    assert engine.calls == []
    assert parts(app).database.engine.pool.status().find("Connections in pool: 0") >= 0


def test_ready_when_all_is_well(client: FlaskClient, engine: FakeEngine) -> None:
    response = client.get(READY)

    body = response.get_json()
    assert response.status_code == 200
    assert set(body) == {"status", "timestamp", "checks"}
    assert body["status"] == "ready"
    assert statuses(response) == {"database": "up", "docker": "up", "agent": "down", "disk": "up"}
    assert all(check["latency_ms"] >= 0 for check in body["checks"].values())
    assert engine.calls == ["ping", "verify"]


@pytest.mark.parametrize("failure", [Failure.UNREACHABLE, Failure.TIMED_OUT, Failure.BUG])
def test_starting_until_the_checks_pass(
    client: FlaskClient, engine: FakeEngine, failure: Failure
) -> None:
    engine.failures["ping"] = failure
    response = client.get(READY)

    assert response.status_code == 503
    assert response.get_json()["status"] == "starting"
    assert statuses(response) == {"database": "up", "docker": "down", "agent": "down", "disk": "up"}


def test_unavailable_once_it_was_ready_and_well_again(
    client: FlaskClient, engine: FakeEngine
) -> None:
    client.get(READY)
    engine.failures["ping"] = Failure.UNREACHABLE
    response = client.get(READY)
    assert (response.status_code, response.get_json()["status"]) == (503, "unavailable")

    engine.failures.clear()

    assert client.get(READY).status_code == 200


def test_docker_that_is_not_required_informs_only(make_app: MakeApp, engine: FakeEngine) -> None:
    engine.failures["ping"] = Failure.UNREACHABLE
    response = make_app(docker_required=False).test_client().get(READY)

    assert (response.status_code, response.get_json()["status"]) == (200, "ready")
    assert statuses(response) == {"database": "up", "docker": "down", "agent": "down", "disk": "up"}


def test_agent_that_is_required(make_app: MakeApp, database: Database) -> None:
    client = make_app(agent_required=True).test_client()
    assert client.get(READY).status_code == 503

    assert Leases(database, "agent-1").win() is not None

    response = client.get(READY)
    assert (response.status_code, statuses(response)["agent"]) == (200, "up")


def test_lost_database_is_never_ready(make_app: MakeApp) -> None:
    app = make_app(database_url="sqlite:////proc/nowhere/x.db", docker_required=False)
    response = app.test_client().get(READY)

    assert response.status_code == 503
    assert statuses(response) == {"database": "down", "docker": "up", "agent": "down", "disk": "up"}


def test_wrong_schema_is_never_ready(make_app: MakeApp, database: Database) -> None:
    with database.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    response = make_app().test_client().get(READY)

    assert (response.status_code, statuses(response)["database"]) == (503, "down")
    assert "migrate" not in response.get_data(as_text=True)


def test_draining_once_the_worker_stops(app: OpenAPI, engine: FakeEngine) -> None:
    worker = Worker()
    parts(app).lifecycle.attach(worker, None)
    client = app.test_client()
    assert client.get(READY).status_code == 200
    worker.alive = False
    engine.calls.clear()

    response = client.get(READY)

    assert response.status_code == 503
    assert response.get_json() | {"timestamp": ""} == {
        "status": "draining",
        "timestamp": "",
        "checks": {},
    }
    assert engine.calls == []
    assert client.get("/health/live").status_code == 200


def test_reason_of_a_failure_stays_in_the_log(
    client: FlaskClient, engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.failures["ping"] = Failure.BUG
    response = client.get(READY)

    assert "secret-bug-text" not in response.get_data(as_text=True)
    assert any("secret-bug-text" in vars(record).get("why", "") for record in caplog.records)


def test_both_hung_are_told_in_time(
    make_app: MakeApp, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hung(*_arguments: Any, **_named: Any) -> None:
        time.sleep(0.15)
        raise StorageUnavailableError

    monkeypatch.setattr(Database, "probe", hung)
    monkeypatch.setattr(engine, "ping", hung)
    client = make_app(health_check_timeout=0.05).test_client()
    started = time.perf_counter()
    response = client.get(READY)

    assert time.perf_counter() - started < 0.12
    assert response.status_code == 503
    assert statuses(response) == {
        "database": "down",
        "docker": "down",
        "agent": "down",
        "disk": "up",
    }


class TestLifecycle:
    """The phases of a process."""

    def test_it_serves_once_the_checks_have_passed(self) -> None:
        lifecycle = Lifecycle()
        assert lifecycle.phase == "starting"
        lifecycle.serve()
        assert lifecycle.phase == "serving"

    def test_it_drains_once_the_worker_is_not_alive(self) -> None:
        lifecycle, worker = Lifecycle(), Worker()
        lifecycle.attach(worker, None)
        lifecycle.serve()
        assert lifecycle.phase == "serving"
        worker.alive = False
        assert lifecycle.phase == "draining"

    def test_uptime_is_that_of_the_server(self) -> None:
        lifecycle = Lifecycle()
        assert lifecycle.uptime < 5
        lifecycle.attach(Worker(), time.monotonic() - 100)
        assert 100 <= lifecycle.uptime < 105
