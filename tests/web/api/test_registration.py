"""Registration by HTTP in each mode, and what the server says of it at its start."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI

from app.core.settings import Settings
from app.domain.accounts.notice import lines
from app.domain.accounts.operators import set_operator
from app.storage import Database
from tests.support.application import MakeApp, User, parts, sign_up
from tests.support.checks import PASSWORD, assert_problem, moved

REGISTER = "/api/v1/auth/register"
TOTAL = "vibebox_registrations_total"
ADA, BOB = "ada@example.org", "bob@example.org"


def register(client: FlaskClient, email: str = BOB, **fields: object) -> int:
    body = {"email": email, "password": PASSWORD, **fields}
    return client.post(REGISTER, json=body).status_code


@pytest.mark.parametrize(
    ("host", "set_to", "mode"),
    [
        ("127.0.0.1", None, "open"),
        ("127.1.2.3", None, "open"),
        ("::1", None, "open"),
        ("localhost", None, "open"),
        ("0.0.0.0", None, "closed"),
        ("::", None, "closed"),
        ("192.0.2.1", None, "closed"),
        ("vibebox.example.org", None, "closed"),
        ("0.0.0.0", "open", "open"),
        ("127.0.0.1", "closed", "closed"),
        ("127.0.0.1", "invited", "invited"),
    ],
)
def test_mode_follows_the_host_unless_it_is_set(host: str, set_to: str | None, mode: str) -> None:
    assert Settings(host=host, registration=set_to).registration_mode == mode


@pytest.mark.parametrize("mode", ["open", "invited", "closed"])
def test_mode_is_told_without_a_login(make_app: MakeApp, mode: str) -> None:
    client = make_app(registration=mode).test_client()

    assert client.get("/api/v1/auth/registration").get_json() == {"mode": mode}
    page = client.get("/sign-in").text
    assert ("data-closed" in page) == (mode != "open")
    assert ("data-register data-when-mounted disabled hidden" in page) == (mode != "open")


@pytest.mark.parametrize("mode", ["invited", "closed"])
def test_closed_registration_names_whom_to_ask(make_app: MakeApp, mode: str) -> None:
    client = make_app(registration=mode).test_client()
    with moved(TOTAL) as told:
        body = {"email": BOB, "password": PASSWORD}
        problem = assert_problem(client.post(REGISTER, json=body), 403, "registration-closed")
        bad = client.post(REGISTER, json={**body, "invitation": "vbx_in_x"})
        assert_problem(bad, 403, "invitation-invalid")

    assert "operator" in problem["detail"] and "VIBEBOX_REGISTRATION" in problem["detail"]
    assert told == {("open", "refused"): 1, ("invitation", "refused"): 1}


def test_registrations_are_counted_by_way_and_outcome(client: FlaskClient) -> None:
    with moved(TOTAL) as told:
        assert [register(client), register(client)] == [201, 409]

    assert told == {("open", "created"): 1, ("open", "taken"): 1}


@pytest.fixture
def operator(client: FlaskClient, app: OpenAPI) -> User:
    operator = sign_up(client, "op@example.org")
    set_operator(parts(app).database, operator.email, operator=True)
    return operator


def test_invitation_is_made_used_and_listed(
    client: FlaskClient, operator: User, make_user: Callable[[FlaskClient, str], User]
) -> None:
    response = operator.post("/api/v1/invitations", json={"email": BOB})
    made = response.get_json()
    assert response.headers["Cache-Control"] == "no-store"
    assert made["path"] == f"/sign-in#invitation={made['token']}"
    assert register(client, ADA, invitation=made["token"]) == 403
    with moved(TOTAL) as told:
        assert register(client, BOB, invitation=made["token"]) == 201
    assert told == {("invitation", "created"): 1}
    (listed,) = operator.get("/api/v1/invitations").get_json()["items"]
    assert (listed["state"], listed["used_by"]) == ("used", BOB)
    assert made["token"] not in str(operator.get("/api/v1/invitations").get_json())
    assert made["token"] not in str(operator.get("/api/v1/audit?limit=200").get_json())


def test_account_is_looked_after_by_http(client: FlaskClient, operator: User, user: User) -> None:
    one = f"/api/v1/accounts/{user.id}"
    assert [account["email"] for account in operator.get("/api/v1/accounts").get_json()["items"]]
    assert operator.post(f"{one}/disable").get_json()["disabled_at"]
    assert_problem(user.get("/api/v1/auth/me"), 401, "invalid-token")
    login = {"email": user.email, "password": PASSWORD}
    assert_problem(client.post("/api/v1/auth/login", json=login), 403, "account-disabled")
    assert operator.post(f"{one}/enable").get_json()["disabled_at"] is None
    user = User(client, user.email, client.post("/api/v1/auth/login", json=login).get_json())
    user.new_environment("billing")
    refused = assert_problem(operator.send("DELETE", one), 409, "account-in-use")
    assert "billing" in refused["detail"]
    assert operator.send("DELETE", f"{one}?transfer_to={operator.id}").status_code == 204
    assert [each["name"] for each in operator.get("/api/v1/environments").get_json()["items"]] == [
        "billing"
    ]
    own = f"/api/v1/accounts/{operator.id}"
    assert_problem(operator.post(f"{own}/disable"), 409, "last-operator")


def test_start_prints_the_link_once(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(host="0.0.0.0")
    printed = lines(settings, database, "http://0.0.0.0:3000")
    assert any("http://localhost:3000/sign-in#invitation=vbx_in_" in line for line in printed)
    again = "\n".join(lines(settings, database, "http://0.0.0.0:3000"))
    assert "vbx_in_" not in again and "vibebox accounts create" in again
    assert "vbx_in_" not in caplog.text


def test_upgrade_with_accounts_is_told_that_registration_is_closed(
    client: FlaskClient, user: User, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    assert lines(Settings(host="0.0.0.0"), database, "http://0.0.0.0:3000") == []
    assert "registration is closed" in caplog.text
    caplog.clear()
    assert lines(Settings(host="0.0.0.0", registration="closed"), database, "x") == []
    assert lines(Settings(), database, "x") == []
    assert caplog.text == ""


def test_open_registration_behind_a_proxy_is_told(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    assert lines(Settings(trusted_proxies=1), database, "x") == []
    assert "anybody behind the proxy may register" in caplog.text
