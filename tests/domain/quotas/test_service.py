"""Quotas: refused with the numbers, whoever owns the project."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI
from sqlalchemy import update

from app.core.errors import LimitReachedError, ProjectNotFoundError, QuotaExceededError
from app.domain.accounts.operators import set_operator
from app.domain.authorization import Identity
from app.domain.quotas.checks import Checks, Limits
from app.storage import Environment, EnvironmentStatus, Project, Team, new_id
from tests.support.application import User, parts, sign_up
from tests.support.checks import assert_problem, moved
from tests.support.fakes import IMAGE

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


def refused(response: Any, of: str = "account", **numbers: Any) -> None:
    """Assert that a quota refuses it, whose, and with these numbers."""
    assert assert_problem(response, 409, "quota-exceeded")["quota"] == {**numbers, "of": of}


def checks(limits: Limits) -> Checks:
    return Checks(limits, Limits(1000, 1000, 1_000_000), teams=5, accounts=1000)


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


def test_environment_that_could_never_start_says_what_is_in_use(user: User) -> None:
    """It said "0 in use" with 2 in use."""
    first = user.new_environment("first", cpu_limit=1.5, memory_limit_mb=64)
    act(user, first, "start")
    body = {"name": "big", "image": IMAGE, "cpu_limit": 2.5}
    answer = user.post(ENVIRONMENTS, json=body)
    refused(answer, resource="cpus", limit=2, used=1.5, requested=2.5)
    assert "1.5 in use, 2.5 asked for" in answer.get_json(force=True)["detail"]


class TeamOf:
    """A team that `maker` made, with a project of its own."""

    def __init__(self, maker: User, name: str = "payments") -> None:
        self.maker = maker
        self.id = maker.make("/api/v1/teams", name=name)["id"]
        self.project = maker.make("/api/v1/projects", name="api", team_id=self.id)["id"]

    def body(self, name: str, **fields: Any) -> dict[str, Any]:
        return {"name": name, "image": IMAGE, "project_id": self.project, **SMALL, **fields}

    def put(self, by: User, whom: User, role: str) -> Any:
        return by.put(f"/api/v1/teams/{self.id}/members/{whom.id}", json={"role": role})

    def remove(self, by: User, whom: User) -> Any:
        return by.send("DELETE", f"/api/v1/teams/{self.id}/members/{whom.id}")


NUMBERS: dict[str, Any] = {"resource": "environments", "limit": 3, "used": 3, "requested": 1}


def test_teams_count_against_their_maker(user: User, stranger: User) -> None:
    """One account had 100 environments in 5 teams, and its own use showed 0."""
    first, second = TeamOf(user, "one"), TeamOf(user, "two")
    assert first.put(user, stranger, "developer").status_code == 200
    user.new_environment("own", **SMALL)
    user.make(ENVIRONMENTS, **first.body("a"))
    stranger.make(ENVIRONMENTS, **first.body("b"))

    for path in (first.body("c"), second.body("c")):
        refused(user.post(ENVIRONMENTS, json=path), of="maker", **NUMBERS)
    refused(stranger.post(ENVIRONMENTS, json=first.body("c")), of="maker", **NUMBERS)
    refused(user.post(ENVIRONMENTS, json={"name": "x", "image": IMAGE}), **NUMBERS)
    stranger.new_environment("of-my-own", **SMALL)
    quota = user.get(QUOTA).get_json()
    assert quota["used"]["environments"] == 3
    assert quota["in_teams"]["environments"] == 2
    assert quota["teams"] == {"limit": 5, "used": 2}
    assert used(user, first.id)["environments"] == 2
    assert used(stranger)["environments"] == 1


def test_what_is_up_in_a_team_counts_against_its_maker(user: User, stranger: User) -> None:
    team = TeamOf(user)
    assert team.put(user, stranger, "developer").status_code == 200
    own = user.new_environment("own", cpu_limit=1.5, memory_limit_mb=64)
    theirs = stranger.make(ENVIRONMENTS, **team.body("a", cpu_limit=0.6))["id"]
    assert act(user, own, "start").status_code == 200
    refused(
        act(stranger, theirs, "start"),
        of="maker", resource="cpus", limit=2, used=1.5, requested=0.6,
    )  # fmt: skip
    assert act(user, own, "stop").status_code == 200
    assert act(stranger, theirs, "start").status_code == 200
    refused(act(user, own, "start"), resource="cpus", limit=2, used=0.6, requested=1.5)
    assert user.get(QUOTA).get_json()["in_teams"]["cpus"] == 0.6


def test_team_with_a_quota_of_its_own_stands_for_itself(user: User, operator: User) -> None:
    team = TeamOf(user)
    for number in range(3):
        user.new_environment(f"own{number}", **SMALL)

    refused(user.post(ENVIRONMENTS, json=team.body("more")), of="maker", **NUMBERS)
    limits = {"environments": 1, "cpus": None, "memory_mb": None}
    response = operator.put(f"/api/v1/teams/{team.id}/quota", json=limits)
    assert response.get_json()["limits"] == {**DEFAULTS, "environments": 1}
    assert user.post(ENVIRONMENTS, json=team.body("more")).status_code == 201
    refused(
        user.post(ENVIRONMENTS, json=team.body("most")),
        of="team", team="payments", resource="environments", limit=1, used=1, requested=1,
    )  # fmt: skip
    assert used(user, team.id)["environments"] == 1
    assert used(user)["environments"] == 3


def test_number_of_teams_is_limited(user: User, stranger: User) -> None:
    teams = [TeamOf(user, f"t{number}") for number in range(5)]
    answer = user.post("/api/v1/teams", json={"name": "t5"})
    assert "5 teams" in assert_problem(answer, 409, "limit-reached")["detail"]
    stranger.make("/api/v1/teams", name="t5")
    assert user.send("DELETE", f"/api/v1/projects/{teams[0].project}").status_code == 204
    assert user.send("DELETE", f"/api/v1/teams/{teams[0].id}").status_code == 204
    user.make("/api/v1/teams", name="t6")


def test_operators_may_be_the_ones_who_make_teams(
    make_app: Callable[..., OpenAPI], make_user: Callable[..., User]
) -> None:
    app = make_app(teams_made_by="operators", quota_environments=1)
    client = app.test_client()
    ada, operator = make_user(client, "ada@example.org"), make_user(client, "op@example.org")
    set_operator(parts(app).database, operator.email, operator=True)
    answer = ada.post("/api/v1/teams", json={"name": "core"})
    assert "Operators make the teams" in assert_problem(answer, 403, "permission-denied")["detail"]
    team = TeamOf(operator)
    operator.make(ENVIRONMENTS, **team.body("a"))
    operator.new_environment("own", **SMALL)
    assert used(operator)["environments"] == 1


def test_maker_leaves_nothing_behind(user: User, stranger: User) -> None:
    """Or two accounts would have as many quotas as they like."""
    team = TeamOf(user)
    assert team.put(user, stranger, "admin").status_code == 200
    made = user.make(ENVIRONMENTS, **team.body("a"))["id"]
    for answer in (team.remove(user, user), team.put(user, user, "viewer")):
        assert "count against your quota" in assert_problem(answer, 409, "team-conflict")["detail"]

    assert team.remove(stranger, user).status_code == 204  # who takes the maker out answers for it
    assert used(user)["environments"] == 0
    assert stranger.get(QUOTA).get_json()["in_teams"]["environments"] == 1
    assert stranger.send("DELETE", f"{ENVIRONMENTS}/{made}").status_code == 204


@pytest.mark.parametrize("way", ["taken out", "made less"])
def test_who_answers_for_a_team_has_room_for_it(user: User, stranger: User, way: str) -> None:
    """Else two accounts would take turns, with a quota anew in each new team."""
    team = TeamOf(user)
    assert team.put(user, stranger, "admin").status_code == 200
    for name in ("a", "b"):
        user.make(ENVIRONMENTS, **team.body(name))
    own = [stranger.new_environment(f"own{number}", **SMALL) for number in range(2)]

    def end() -> Any:
        if way == "taken out":
            return team.remove(stranger, user)
        return team.put(stranger, user, "developer")

    problem = assert_problem(end(), 409, "team-conflict")
    assert "environments: 2 and 2, of 3" in problem["detail"]
    assert used(user)["environments"] == 2
    assert stranger.send("DELETE", f"{ENVIRONMENTS}/{own[0]}").status_code == 204
    assert end().status_code in (200, 204)
    assert (used(user)["environments"], used(stranger)["environments"]) == (0, 3)


def test_maker_who_is_made_less_by_another_admin_answers_no_more(
    user: User, stranger: User
) -> None:
    team = TeamOf(user)
    assert team.put(user, stranger, "admin").status_code == 200
    user.make(ENVIRONMENTS, **team.body("a"))
    assert team.put(stranger, user, "developer").status_code == 200
    assert (used(user)["environments"], used(stranger)["environments"]) == (0, 1)


def test_who_acts_in_a_team_that_counts_against_nobody_takes_it_over(
    app: OpenAPI, user: User, stranger: User
) -> None:
    team = TeamOf(user)
    assert team.put(user, stranger, "admin").status_code == 200
    assert team.remove(user, user).status_code == 204  # it is empty
    for number in range(3):
        stranger.new_environment(f"own{number}", **SMALL)
    refused(stranger.post(ENVIRONMENTS, json=team.body("a")), of="maker", **NUMBERS)
    first = stranger.get(ENVIRONMENTS).get_json()["items"][0]["id"]
    assert stranger.send("DELETE", f"{ENVIRONMENTS}/{first}").status_code == 204
    made = stranger.make(ENVIRONMENTS, **team.body("a"))["id"]
    assert stranger.get(QUOTA).get_json()["in_teams"]["environments"] == 1

    with parts(app).database.writing() as session:  # as if its maker's account were deleted
        session.execute(update(Team).values(created_by=new_id()))
    assert stranger.get(QUOTA).get_json()["in_teams"]["environments"] == 0
    assert act(stranger, made, "start").status_code == 200
    assert stranger.get(QUOTA).get_json()["in_teams"]["cpus"] == 0.1


def test_team_of_before_stands_for_itself(app: OpenAPI, user: User) -> None:
    team = TeamOf(user)
    with parts(app).database.writing() as session:
        session.execute(update(Team).values(created_by=None))
    for number in range(3):
        user.new_environment(f"own{number}", **SMALL)
        user.make(ENVIRONMENTS, **team.body(f"e{number}"))
    refused(user.post(ENVIRONMENTS, json=team.body("more")), of="team", team="payments", **NUMBERS)


def test_host_has_bounds(make_app: Callable[..., OpenAPI], make_user: Any) -> None:
    app = make_app(host_environments=4, host_cpus=2, host_memory_mb=512, default_memory_limit_mb=64)
    client = app.test_client()
    ada, eve = make_user(client, "ada@example.org"), make_user(client, "eve@example.org")
    mine = [ada.new_environment(f"e{n}", cpu_limit=1.5, memory_limit_mb=64) for n in range(2)]
    theirs = [
        eve.new_environment("cpu", cpu_limit=0.6, memory_limit_mb=64),
        eve.new_environment("memory", cpu_limit=0.1, memory_limit_mb=449),
    ]
    for user in (ada, eve):
        refused(
            user.post(ENVIRONMENTS, json={"name": "more", "image": IMAGE}),
            of="host", resource="environments", limit=4, used=4, requested=1,
        )  # fmt: skip
    assert act(ada, mine[0], "start").status_code == 200
    refused(act(eve, theirs[0], "start"),
        of="host", resource="cpus", limit=2, used=1.5, requested=0.6)  # fmt: skip
    answer = act(eve, theirs[1], "start")
    refused(answer, of="host", resource="memory_mb", limit=512, used=64, requested=449)
    assert "all environments on this host" in answer.get_json(force=True)["detail"]
    with moved("vibebox_limit_refusals_total") as refusals:
        act(eve, theirs[1], "start")
    assert refusals == {("host_memory_mb",): 1}
    answer = eve.send("PATCH", f"{ENVIRONMENTS}/{theirs[0]}", json={"cpu_limit": 2.5})
    refused(answer, of="host", resource="cpus", limit=2, used=1.5, requested=2.5)
    assert eve.get(QUOTA).get_json()["host"] == {
        "limits": {"environments": 4, "cpus": 2, "memory_mb": 512},
        "used": {"environments": 4, "cpus": 1.5, "memory_mb": 64},
    }


def test_accounts_are_bounded(app: OpenAPI, user: User, stranger: User) -> None:
    few = Checks(Limits(1, 1, 1), Limits(1, 1, 1), teams=1, accounts=2)
    with parts(app).database.reading() as session:
        with pytest.raises(LimitReachedError, match="There are 2 accounts"):
            few.check_account(session)
        Checks(Limits(1, 1, 1), Limits(1, 1, 1), teams=1, accounts=3).check_account(session)


def test_host_has_bounds_of_its_own_size(
    make_app: Callable[..., OpenAPI], make_user: Callable[..., User]
) -> None:
    app = make_app(host_cpus=None, host_memory_mb=None)
    user = make_user(app.test_client(), "ada@example.org")
    limits = user.get(QUOTA).get_json()["host"]["limits"]
    assert limits["cpus"] == 16 * (os.cpu_count() or 1)
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    assert limits["memory_mb"] == pytest.approx(4 * total, rel=0.01)


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
    with parts(app).database.writing() as session:
        environment = session.get_one(Environment, identity)
        try:
            checks(Limits(3, 2, 512)).check_change(session, environment, cpu, memory)
            found = None
        except QuotaExceededError as error:
            found = error.extensions["quota"]["resource"]

    assert found == refusal


def test_limits_can_be_lowered_under_any_quota(app: OpenAPI, user: User) -> None:
    identity = user.new_environment("one", cpu_limit=2, memory_limit_mb=512)
    set_status(app, identity, EnvironmentStatus.RUNNING)
    with parts(app).database.writing() as session:
        environment = session.get_one(Environment, identity)
        checks(Limits(0, 0.1, 16)).check_change(session, environment, 1, 256)


def test_project_that_is_gone_takes_no_environment(app: OpenAPI, user: User) -> None:
    project = user.make("/api/v1/projects", name="p")["id"]
    database = parts(app).database
    with database.reading() as session:
        row = session.get_one(Project, project)
        session.expunge(row)
    user.send("DELETE", f"/api/v1/projects/{project}")
    with pytest.raises(ProjectNotFoundError), database.writing() as session:
        fields = {"cpu_limit": 1, "memory_limit_mb": 64}
        identity = Identity(user.id, user.email)
        checks(Limits(3, 2, 512)).check_create(session, identity, row, fields)
