"""Quotas of a month: what begins is refused with the numbers, what runs goes on."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI

from app.domain.accounts.operators import set_operator
from app.storage import UsagePeriod, UsageRow, new_id, utc_now
from tests.domain.quotas.test_service import ENVIRONMENTS, QUOTA, SMALL, act, refused
from tests.support.application import MakeApp, User, parts, sign_up
from tests.support.checks import assert_problem, moved
from tests.support.fakes import IMAGE

HOUR = 3600 * 10**9
GIB_HOUR = 3600 * 2**30
NEW = {"environments": None, "cpus": None, "memory_mb": None}


@pytest.fixture
def app(make_app: Callable[..., OpenAPI]) -> OpenAPI:
    return make_app(quota_cpu_hours=10, default_memory_limit_mb=64)


@pytest.fixture
def operator(app: OpenAPI, client: FlaskClient) -> User:
    operator = sign_up(client, "op@example.org")
    set_operator(parts(app).database, operator.email, operator=True)
    return operator


@pytest.fixture
def book(app: OpenAPI) -> Callable[..., None]:
    def book(cpu: float, memory: float = 0, at: datetime | None = None, **owner: Any) -> None:
        use = {"cpu_ns": int(cpu * HOUR), "memory_byte_seconds": int(memory * GIB_HOUR)}
        with parts(app).database.writing() as session:
            row = UsageRow(environment_id=new_id(), period=UsagePeriod.HOUR, **use, **owner)
            row.starts_at = (at or utc_now()).replace(minute=0, second=0, microsecond=0)
            session.add(row)

    return book


def test_what_begins_is_refused_and_what_runs_goes_on(
    app: OpenAPI, user: User, stranger: User, book: Callable[..., None]
) -> None:
    up, other = user.new_environment("one", **SMALL), user.new_environment("two", **SMALL)
    assert act(user, up, "start").status_code == 200
    last_month = utc_now().replace(day=1, hour=0) - timedelta(hours=1)
    book(100, at=last_month, account_id=user.id)
    book(100, at=last_month + timedelta(days=40), account_id=user.id)
    book(9.5, account_id=user.id)
    assert user.get(QUOTA).get_json()["month"] == {
        "limits": {"cpu_hours": 10, "memory_gib_hours": None},
        "used": {"cpu_hours": 9.5, "memory_gib_hours": 0},
    }
    assert act(user, other, "start").status_code == 200
    act(user, other, "stop")
    book(0.5, account_id=user.id)
    numbers: dict[str, Any] = {"resource": "cpu_hours", "limit": 10, "used": 10, "requested": 0}
    response = act(user, other, "start")
    refused(response, **numbers)
    assert "What runs goes on" in response.get_json(force=True)["detail"]
    refused(user.post(ENVIRONMENTS, json={"name": "more", "image": IMAGE, **SMALL}), **numbers)
    assert user.get(f"{ENVIRONMENTS}/{up}").get_json()["status"] == "running"
    assert act(user, up, "restart").status_code == 200
    change = user.send("PATCH", f"{ENVIRONMENTS}/{up}", json={"cpu_limit": 0.2})
    assert change.status_code == 200
    stranger.new_environment("theirs", **SMALL)


def test_team_has_a_quota_of_its_own_or_its_makers(
    user: User, operator: User, book: Callable[..., None]
) -> None:
    team = user.make("/api/v1/teams", name="red")["id"]
    project = user.make("/api/v1/projects", name="p", team_id=team)["id"]
    made = user.new_environment("one", project_id=project, **SMALL)
    book(11, 5.00006, team_id=team, project_id=project)
    numbers: dict[str, Any] = {"resource": "cpu_hours", "limit": 10, "used": 11, "requested": 0}
    refused(act(user, made, "start"), "team", team="red", **numbers)
    limits = {**NEW, "cpu_hours": 100, "memory_gib_hours": 5}
    changed = operator.send("PUT", f"/api/v1/teams/{team}/quota", json=limits)
    assert changed.get_json()["month"]["limits"] == {"cpu_hours": 100, "memory_gib_hours": 5}
    with moved("vibebox_limit_refusals_total") as refusals:
        response = act(user, made, "start")
    assert refusals == {("memory_gib_hours",): 1}
    numbers = {"resource": "memory_gib_hours", "limit": 5, "used": 5.00006, "requested": 0}
    refused(response, "team", team="red", **numbers)
    detail = response.get_json(force=True)["detail"]
    assert "The team's quota of memory (GiB hours) is 5: 5.00006 used this month." in detail
    operator.send("PUT", f"/api/v1/teams/{team}/quota", json={**limits, "memory_gib_hours": 6})
    # It stands for itself by that, and its maker has used nothing.
    assert act(user, made, "start").status_code == 200
    assert user.get(QUOTA).get_json()["month"]["used"]["cpu_hours"] == 0
    operator.send("PUT", f"/api/v1/teams/{team}/quota", json=NEW)
    assert user.get(QUOTA).get_json()["month"]["used"]["cpu_hours"] == 11


@pytest.mark.parametrize("way", ["", "/members/{me}"])
def test_new_team_is_no_new_quota(
    user: User, operator: User, stranger: User, book: Callable[..., None], way: str
) -> None:
    team = user.make("/api/v1/teams", name="red")["id"]
    path = f"/api/v1/teams/{team}"
    project = user.make("/api/v1/projects", name="p", team_id=team)["id"]
    user.make(f"{path}/members", email=stranger.email, role="admin")
    book(11, team_id=team, project_id=project, account_id=stranger.id)
    assert user.send("DELETE", f"/api/v1/projects/{project}").status_code == 204
    used: dict[str, Any] = {"resource": "cpu_hours", "limit": 10, "used": 11, "requested": 0}
    refused(user.post(ENVIRONMENTS, json={"name": "one", "image": IMAGE, **SMALL}), **used)
    goes = path + way.format(me=user.id)
    problem = assert_problem(user.send("DELETE", goes), 409, "team-conflict")
    assert "this month" in problem["detail"]
    assert_problem(stranger.send("DELETE", path), 409, "team-conflict")
    # Who takes the maker out has to have room for it.
    problem = assert_problem(
        stranger.send("DELETE", f"{path}/members/{user.id}"), 409, "team-conflict"
    )
    assert "CPU hours: 0 and 11, of 10" in problem["detail"]
    assert stranger.get(QUOTA).get_json()["month"]["used"]["cpu_hours"] == 0
    # What stands for itself takes nothing along.
    operator.send("PUT", f"{path}/quota", json={**NEW, "cpu_hours": 20})
    assert user.send("DELETE", goes).status_code == 204


def test_team_goes_where_a_month_has_no_bound(make_app: MakeApp) -> None:
    app = make_app(quota_memory_gib_hours=1)
    user = sign_up(app.test_client(), "ada@example.org")
    team = user.make("/api/v1/teams", name="red")["id"]
    with parts(app).database.writing() as session:
        row = UsageRow(environment_id="e", period=UsagePeriod.HOUR, team_id=team, cpu_ns=HOUR)
        row.starts_at = utc_now()
        session.add(row)
    assert user.send("DELETE", f"/api/v1/teams/{team}").status_code == 204
