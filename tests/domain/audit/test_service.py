"""The audit log: every change in it, and who may read which entries."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI

from app.domain.accounts.operators import set_operator
from tests.support.application import User, parts, sign_up
from tests.support.checks import PASSWORD, assert_problem

AUDIT = "/api/v1/audit"


@pytest.fixture
def operator(app: OpenAPI, client: FlaskClient) -> User:
    operator = sign_up(client, "op@example.org")
    set_operator(parts(app).database, operator.email, operator=True)
    return operator


def entries(user: User, query: str = "") -> list[dict[str, Any]]:
    response = user.get(f"{AUDIT}?limit=200&{query}")
    assert response.status_code == 200, response.get_data(as_text=True)
    found: list[dict[str, Any]] = response.get_json()["items"]
    return found


def actions(user: User, query: str = "") -> list[str]:
    return [entry["action"] for entry in reversed(entries(user, query))]


def test_every_change_is_recorded(user: User, operator: User) -> None:
    team = user.make("/api/v1/teams", name="payments")["id"]
    members = f"/api/v1/teams/{team}/members"
    user.make(members, email=operator.email, role="viewer")
    mate = f"{members}/{operator.id}"
    user.put(mate, json={"role": "developer"})
    user.send("DELETE", mate)
    user.send("PATCH", f"/api/v1/teams/{team}", json={"name": "money"})
    project = user.make("/api/v1/projects", name="api", team_id=team)["id"]
    user.send("PATCH", f"/api/v1/projects/{project}", json={"name": "web"})
    environment = user.new_environment("one", project_id=project)
    for action in ("start", "restart", "stop"):
        user.post(f"/api/v1/environments/{environment}/{action}")
    user.send("PATCH", f"/api/v1/environments/{environment}", json={"name": "two"})
    user.send("DELETE", f"/api/v1/environments/{environment}")
    user.send("DELETE", f"/api/v1/projects/{project}")
    limits = {"environments": 1, "cpus": None, "memory_mb": None}
    operator.put(f"/api/v1/teams/{team}/quota", json=limits)
    user.send("DELETE", f"/api/v1/teams/{team}")
    key = user.make("/api/v1/api-keys", name="ci", scopes=["read"])["id"]
    user.send("DELETE", f"/api/v1/api-keys/{key}")
    operator.put(f"/api/v1/users/{user.id}/quota", json=limits)
    user.post("/api/v1/auth/logout")

    assert actions(operator) == [
        "account.register",
        "account.login",
        "account.register",
        "account.login",
        "operator.grant",
        "team.create",
        "member.add",
        "member.change",
        "member.remove",
        "team.change",
        "project.create",
        "project.change",
        "environment.create",
        "environment.start",
        "environment.restart",
        "environment.stop",
        "environment.change",
        "environment.delete",
        "project.delete",
        "quota.change",
        "team.delete",
        "api_key.create",
        "api_key.revoke",
        "quota.change",
        "account.logout",
    ]


def test_refused_credentials_are_recorded(user: User, operator: User) -> None:
    client, login = user.client, "/api/v1/auth/login"
    for email in (user.email, "nobody@example.org"):
        body = {"email": email, "password": "not this one"}
        assert client.post(login, json=body).status_code == 401
    key = user.make("/api/v1/api-keys", name="ci", scopes=["read"])
    user.send("DELETE", f"/api/v1/api-keys/{key['id']}")
    by_key = User(client, user.email, {"access_token": key["key"]})
    for _ in range(3):
        assert by_key.get("/api/v1/environments").status_code == 401
    operator.post(f"/api/v1/accounts/{user.id}/disable")
    body = {"email": user.email, "password": PASSWORD}
    assert client.post(login, json=body).status_code == 403

    found = [
        (entry["action"], entry["target_name"], entry["details"], entry["actor"])
        for entry in reversed(entries(operator))
        if entry["action"].endswith("refuse")
    ]
    assert found == [
        ("account.login_refuse", user.email, {"reason": "password"}, "vibebox"),
        # What is no account's address may be a password.
        ("account.login_refuse", None, {"reason": "password"}, "vibebox"),
        ("api_key.refuse", "ci", {"reason": "revoked"}, "vibebox"),
        ("account.login_refuse", user.email, {"reason": "disabled"}, "vibebox"),
    ]


def test_refused_change_leaves_no_entry(user: User) -> None:
    user.make("/api/v1/teams", name="payments")
    before = len(entries(user))
    user.post("/api/v1/teams", json={"name": "payments"})
    user.post("/api/v1/projects", json={"name": "x", "team_id": "unknown"})

    assert len(entries(user)) == before


def test_entry_says_who_what_and_from_where(user: User) -> None:
    headers = {**user.headers, "X-Request-ID": "r-1"}
    team = user.client.post(
        "/api/v1/teams",
        json={"name": "payments"},
        headers=headers,
        environ_overrides={"REMOTE_ADDR": "192.0.2.7"},
    ).get_json()
    key = user.make("/api/v1/api-keys", name="ci", scopes=["read", "write"])
    by_key = User(user.client, user.email, {"access_token": key["key"]})
    by_key.make("/api/v1/projects", name="api", team_id=team["id"])

    project, made, created, *_ = entries(user)
    assert created["at"] and (created["actor"], created["actor_id"]) == (user.email, user.id)
    assert (created["address"], created["request_id"]) == ("192.0.2.7", "r-1")
    assert (created["target_kind"], created["target_id"]) == ("team", team["id"])
    assert (created["target_name"], created["team_id"]) == ("payments", team["id"])
    assert (made["api_key_id"], made["details"]) == (None, {"scopes": ["read", "write"]})
    assert (project["api_key_id"], project["team_id"]) == (key["id"], team["id"])
    assert key["key"] not in str(entries(user))


def test_command_line_acts_as_vibebox(operator: User) -> None:
    (granted,) = entries(operator, "action=operator.grant")

    assert (granted["actor"], granted["actor_id"], granted["address"]) == ("vibebox", None, None)


def test_everybody_sees_what_concerns_them(user: User, stranger: User, operator: User) -> None:
    team = user.make("/api/v1/teams", name="payments")["id"]
    mate = f"/api/v1/teams/{team}/members/{stranger.id}"
    user.put(mate, json={"role": "developer"})
    project = user.make("/api/v1/projects", name="api", team_id=team)["id"]
    stranger.new_environment("one", project_id=project)

    of_team = ["team.create", "member.add", "project.create", "environment.create"]
    assert actions(user, f"team_id={team}") == of_team
    assert actions(operator, f"team_id={team}") == of_team
    assert actions(stranger, f"team_id={team}") == ["environment.create"]
    user.put(mate, json={"role": "admin"})
    assert actions(stranger, f"team_id={team}") == [*of_team, "member.change"]
    assert "account.register" in actions(stranger)
    assert {entry["actor"] for entry in entries(user)} == {user.email, stranger.email}


def test_entries_are_filtered(user: User, stranger: User, operator: User) -> None:
    user.new_environment("one")
    stranger.new_environment("two")
    (mine,) = entries(user, "action=environment.create")

    assert actions(operator, f"project_id={mine['project_id']}") == ["environment.create"]
    assert len(entries(operator, "action=environment.create")) == 2
    assert entries(operator, f"actor={user.email.upper()}&action=environment.create") == [mine]
    at = mine["at"].replace("+", "%2B")
    assert mine in entries(operator, f"since={at}")
    assert mine not in entries(operator, f"until={at}")
    assert entries(operator, "actor=nobody") == []


def test_pages_follow_the_cursor_whatever_is_written_meanwhile(user: User) -> None:
    for number in range(5):
        user.make("/api/v1/projects", name=f"p{number}")
    expected = [entry["id"] for entry in entries(user)]
    found: list[int] = []
    cursor = ""
    while True:
        page = user.get(f"{AUDIT}?limit=4{cursor}").get_json()
        found += [entry["id"] for entry in page["items"]]
        user.make("/api/v1/projects", name=f"new-{len(found)}")
        if page["cursor"] is None:
            break
        cursor = f"&cursor={page['cursor']}"

    assert found == expected and len(found) == 7


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "cursor=0", "since=2030-01-01", "until=x"]
)
def test_nonsense_is_refused(user: User, query: str) -> None:
    assert_problem(user.get(f"{AUDIT}?{query}"), 422, "invalid-input")


def test_no_entry_holds_a_password(user: User, operator: User) -> None:
    assert PASSWORD not in str(entries(operator))
