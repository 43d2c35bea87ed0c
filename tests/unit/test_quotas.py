"""Quotas: refused with the numbers, whoever owns the project."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI
from sqlalchemy import update

from app.accounts.operators import set_operator
from app.errors import ProjectNotFoundError, QuotaExceededError
from app.quotas import Checks
from app.quotas.checks import Limits
from app.storage import Environment, EnvironmentStatus, Project
from tests.unit.application import User, parts, sign_up
from tests.unit.fakes import IMAGE
from tests.unit.support import assert_problem

ENVIRONMENTS = "/api/v1/environments"
QUOTA = "/api/v1/quota"
DEFAULTS = {"environments": 3, "cpus": 2.0, "memory_mb": 512}
SMALL = {"cpu_limit": 0.1, "memory_limit_mb": 64}
UP = ("starting", "running", "stopping", "paused")


@pytest.fixture
def app(make_app: Callable[..., OpenAPI]) -> OpenAPI:
    return make_app(
        quota_environments=3, quota_cpus=2, quota_memory_mb=512, default_memory_limit_mb=64
    )


@pytest.fixture
def operator(app: OpenAPI, client: FlaskClient) -> User:
    operator = sign_up(client, "op@example.org")
    set_operator(parts(app).database, operator.email, operator=True)
    return operator


def refused(response: Any, **numbers: Any) -> None:
    """Assert that the quota refuses it, with these numbers."""
    assert assert_problem(response, 409, "quota-exceeded")["quota"] == numbers


def act(user: User, identity: str, action: str) -> Any:
    return user.post(f"{ENVIRONMENTS}/{identity}/{action}")


def set_status(app: OpenAPI, identity: str, status: str) -> None:
    with parts(app).database.writing() as session:
        row = update(Environment).where(Environment.id == identity)
        session.execute(row.values(status=status))


def used(user: User, team: str = "") -> Any:
    return user.get(f"{QUOTA}?team_id={team}" if team else QUOTA).get_json()["used"]


def test_number_of_environments_is_limited(user: User, stranger: User) -> None:
    made = [user.new_environment(f"e{number}", **SMALL) for number in range(3)]

    response = user.post(ENVIRONMENTS, json={"name": "more", "image": IMAGE})
    refused(response, resource="environments", limit=3, used=3, requested=1)
    assert "3 in use" in response.get_json(force=True)["detail"]
    stranger.new_environment()
    assert user.send("DELETE", f"{ENVIRONMENTS}/{made[0]}").status_code == 204
    user.new_environment("more")


def test_all_projects_of_an_owner_count(user: User) -> None:
    for number in range(3):
        project = user.make("/api/v1/projects", name=f"p{number}")["id"]
        user.new_environment("one", project_id=project, **SMALL)

    refused(
        user.post(ENVIRONMENTS, json={"name": "more", "image": IMAGE}),
        resource="environments",
        limit=3,
        used=3,
        requested=1,
    )


def test_environment_that_could_never_start_is_not_made(user: User) -> None:
    body = {"name": "big", "image": IMAGE}
    refused(
        user.post(ENVIRONMENTS, json={**body, "cpu_limit": 2.5, "memory_limit_mb": 64}),
        resource="cpus",
        limit=2,
        used=0,
        requested=2.5,
    )
    refused(
        user.post(ENVIRONMENTS, json={**body, "cpu_limit": 2, "memory_limit_mb": 513}),
        resource="memory_mb",
        limit=512,
        used=0,
        requested=513,
    )
    user.new_environment("big", cpu_limit=2, memory_limit_mb=512)


def test_what_is_up_is_limited(user: User) -> None:
    first = user.new_environment("first", cpu_limit=1.5, memory_limit_mb=64)
    second = user.new_environment("second", cpu_limit=0.6, memory_limit_mb=64)
    third = user.new_environment("third", cpu_limit=0.5, memory_limit_mb=449)
    assert act(user, first, "start").status_code == 200
    assert used(user) == {"environments": 3, "cpus": 1.5, "memory_mb": 64}

    refused(act(user, second, "start"), resource="cpus", limit=2, used=1.5, requested=0.6)
    refused(act(user, third, "start"), resource="memory_mb", limit=512, used=64, requested=449)
    assert user.get(f"{ENVIRONMENTS}/{second}").get_json()["status"] == "stopped"
    assert act(user, first, "restart").status_code == 200  # it holds what it needs
    assert act(user, first, "stop").status_code == 200
    assert act(user, second, "start").status_code == 200


@pytest.mark.parametrize("status", UP)
def test_every_status_that_is_up_counts(app: OpenAPI, user: User, status: str) -> None:
    first = user.new_environment("first", cpu_limit=1.5, memory_limit_mb=64)
    second = user.new_environment("second", cpu_limit=1, memory_limit_mb=64)
    set_status(app, first, status)

    assert used(user)["cpus"] == 1.5
    refused(act(user, second, "start"), resource="cpus", limit=2, used=1.5, requested=1)


def test_restart_out_of_an_error_is_a_start(app: OpenAPI, user: User) -> None:
    first = user.new_environment("first", cpu_limit=1.5, memory_limit_mb=64)
    second = user.new_environment("second", cpu_limit=1, memory_limit_mb=64)
    act(user, first, "start")
    set_status(app, second, "error")

    refused(act(user, second, "restart"), resource="cpus", limit=2, used=1.5, requested=1)


def test_rounding_takes_nothing_away(user: User, operator: User) -> None:
    limits = {"environments": 30, "cpus": 1, "memory_mb": 4096}
    operator.put(f"/api/v1/users/{user.id}/quota", json=limits)
    made = [user.new_environment(f"e{n}", **SMALL) for n in range(11)]

    assert [act(user, identity, "start").status_code for identity in made] == [200] * 10 + [409]


def test_team_has_a_quota_of_its_own(user: User, operator: User) -> None:
    team = user.make("/api/v1/teams", name="payments")["id"]
    project = user.make("/api/v1/projects", name="api", team_id=team)["id"]
    for number in range(3):
        user.new_environment(f"own{number}", **SMALL)
        user.new_environment(f"e{number}", project_id=project, **SMALL)

    body = {"name": "more", "image": IMAGE, "project_id": project}
    assert user.post(ENVIRONMENTS, json=body).status_code == 409
    limits = {"environments": 4, "cpus": None, "memory_mb": None}
    response = operator.put(f"/api/v1/teams/{team}/quota", json=limits)
    assert response.get_json()["limits"] == {**DEFAULTS, "environments": 4}
    assert user.post(ENVIRONMENTS, json=body).status_code == 201
    assert used(user, team)["environments"] == 4
    assert used(user)["environments"] == 3


def test_operators_set_quotas_and_take_them_back(user: User, operator: User) -> None:
    path = f"/api/v1/users/{user.id}/quota"
    own = {"environments": 0, "cpus": 0.5, "memory_mb": 16}

    assert operator.put(path, json=own).get_json()["limits"] == own
    assert user.get(QUOTA).get_json()["limits"] == own
    refused(
        user.post(ENVIRONMENTS, json={"name": "x", "image": IMAGE}),
        resource="environments",
        limit=0,
        used=0,
        requested=1,
    )
    operator.put(path, json={"environments": None, "cpus": None, "memory_mb": None})
    assert user.get(QUOTA).get_json()["limits"] == DEFAULTS
    for body in ({}, {**own, "cpus": 0}, {**own, "environments": -1}, {**own, "memory_mb": 1}):
        assert_problem(operator.put(path, json=body), 422, "invalid-input")
    for kind, slug in (("users", "user-not-found"), ("teams", "team-not-found")):
        assert_problem(operator.put(f"/api/v1/{kind}/x/quota", json=own), 404, slug)


CHANGES = [
    ("stopped", 2.0, None, None),
    ("stopped", 2.5, None, "cpus"),
    ("stopped", None, 600, "memory_mb"),
    ("running", 1.0, None, None),
    ("running", 1.1, None, "cpus"),
    ("paused", None, 449, "memory_mb"),
    ("running", None, 448, None),
    ("running", 0.1, 16, None),
]


@pytest.mark.parametrize(("status", "cpu", "memory", "refusal"), CHANGES)
def test_raised_limits_are_asked_for(
    app: OpenAPI,
    user: User,
    status: str,
    cpu: float | None,
    memory: int | None,
    refusal: str | None,
) -> None:
    other = user.new_environment("other", cpu_limit=1, memory_limit_mb=64)
    act(user, other, "start")
    identity = user.new_environment("one", cpu_limit=0.5, memory_limit_mb=64)
    set_status(app, identity, status)
    checks = Checks(Limits(3, 2, 512))
    with parts(app).database.writing() as session:
        environment = session.get_one(Environment, identity)
        try:
            checks.check_change(session, environment, cpu, memory)
            found = None
        except QuotaExceededError as error:
            found = error.extensions["quota"]["resource"]

    assert found == refusal


def test_limits_can_be_lowered_under_any_quota(app: OpenAPI, user: User) -> None:
    identity = user.new_environment("one", cpu_limit=2, memory_limit_mb=512)
    set_status(app, identity, EnvironmentStatus.RUNNING)
    with parts(app).database.writing() as session:
        environment = session.get_one(Environment, identity)
        Checks(Limits(0, 0.1, 16)).check_change(session, environment, 1, 256)


def test_project_that_is_gone_takes_no_environment(app: OpenAPI, user: User) -> None:
    project = user.make("/api/v1/projects", name="p")["id"]
    database = parts(app).database
    with database.reading() as session:
        row = session.get_one(Project, project)
        session.expunge(row)
    user.send("DELETE", f"/api/v1/projects/{project}")
    with pytest.raises(ProjectNotFoundError), database.writing() as session:
        fields = {"cpu_limit": 1, "memory_limit_mb": 64}
        Checks(Limits(3, 2, 512)).check_create(session, row, fields)
