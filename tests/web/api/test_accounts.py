"""The account routes: HTTP around the rules."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.application import User
from tests.support.checks import PASSWORD, assert_problem, moved

AUTH = "/api/v1/auth"
GOOD = {"email": "new@example.org", "password": PASSWORD}
BROKEN: list[tuple[str, Any]] = [
    ("email", "nobody"),
    ("email", "a@b"),
    ("email", "a b@c.de"),
    ("email", "a@b.c\n"),
    ("email", "a\x00@b.cd"),
    ("email", f"{'a' * 250}@b.cd"),
    ("email", 5),
    ("email", None),
    ("password", "short"),
    ("password", "x" * 257),
    ("password", ["x" * 12]),
    ("extra", 1),
]


def test_register_answers_with_the_account(client: FlaskClient) -> None:
    response = client.post(f"{AUTH}/register", json={**GOOD, "email": "New@Example.org"})

    body = response.get_json()
    assert response.status_code == 201
    assert set(body) == {"id", "email", "created_at"}
    assert body["email"] == "new@example.org"


def test_taken_address_is_a_409(client: FlaskClient, user: User) -> None:
    response = client.post(f"{AUTH}/register", json={**GOOD, "email": user.email.upper()})

    assert_problem(response, 409, "email-taken")


def test_one_broken_field_is_named(client: FlaskClient, subtests: pytest.Subtests) -> None:
    for field, value in BROKEN:
        with subtests.test(f"{field}: {str(value)[:40]!r}"):
            response = client.post(f"{AUTH}/register", json={**GOOD, field: value})

            body = assert_problem(response, 422, "invalid-input")
            assert [error["field"] for error in body["errors"]] == [field]
            assert PASSWORD not in response.get_data(as_text=True)


def test_login_answers_with_tokens_that_nobody_keeps(client: FlaskClient, user: User) -> None:
    response = client.post(f"{AUTH}/login", json={"email": user.email, "password": PASSWORD})

    body = response.get_json()
    assert response.status_code == 200
    assert set(body) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
    assert response.headers["Cache-Control"] == "no-store"


def test_wrong_password_is_a_401(client: FlaskClient, user: User) -> None:
    response = client.post(f"{AUTH}/login", json={"email": user.email, "password": "wrong"})

    assert_problem(response, 401, "invalid-credentials")


def test_me_is_who_asks(user: User, stranger: User) -> None:
    assert user.get(f"{AUTH}/me").get_json()["email"] == user.email
    assert stranger.get(f"{AUTH}/me").get_json()["email"] == stranger.email


def test_scheme_is_read_in_any_case(client: FlaskClient, user: User) -> None:
    for scheme in ("bearer", "BEARER", "Bearer "):
        headers = {"Authorization": f"{scheme} {user.tokens['access_token']}"}

        assert client.get(f"{AUTH}/me", headers=headers).status_code == 200


def test_refresh_answers_with_the_next_tokens(client: FlaskClient, user: User) -> None:
    body = {"refresh_token": user.tokens["refresh_token"]}
    response = client.post(f"{AUTH}/refresh", json=body)

    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert_problem(client.post(f"{AUTH}/refresh", json=body), 401, "invalid-token")


def test_logout_ends_the_login(user: User) -> None:
    response = user.post(f"{AUTH}/logout")

    assert (response.status_code, response.data) == (204, b"")
    assert_problem(user.get(f"{AUTH}/me"), 401, "invalid-token")


def test_preflight_needs_no_login(client: FlaskClient) -> None:
    response = client.options(f"{AUTH}/me")

    assert response.status_code == 200
    assert "GET" in response.headers["Allow"]


def test_authentications_are_counted(client: FlaskClient, user: User) -> None:
    with moved("vibebox_auth_attempts_total") as attempts:
        user.get(f"{AUTH}/me")
        user.get("/api/v1/environments")
        client.get(f"{AUTH}/me")  # offers nothing
        client.get(f"{AUTH}/me", headers={"Authorization": "Bearer vbx_at_x"})
        client.post(f"{AUTH}/login", json={"email": user.email, "password": "wrong"})
        client.post(f"{AUTH}/refresh", json={"refresh_token": "x"})
        client.post(f"{AUTH}/refresh", json={"refresh_token": user.tokens["refresh_token"]})

    assert attempts == {
        ("token", "success"): 2,
        ("token", "failure"): 1,
        ("password", "failure"): 1,
        ("refresh", "failure"): 1,
        ("refresh", "success"): 1,
    }
