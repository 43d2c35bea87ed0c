"""API keys: shown once, good for their scopes, until they expire or are revoked."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI
from sqlalchemy import select, update
from sqlalchemy.orm import InstrumentedAttribute
from werkzeug.test import TestResponse

from app.core.errors import StorageUnavailableError
from app.domain.accounts import last_used
from app.storage import ApiKey, Database, utc_now
from app.storage import User as Account
from tests.support.application import User, parts
from tests.support.checks import assert_problem, moved

KEYS = "/api/v1/api-keys"
ME = "/api/v1/auth/me"
GOOD: dict[str, Any] = {"name": "ci", "scopes": ["read", "execute"]}
BROKEN: list[tuple[str, Any]] = [
    ("name", ""),
    ("name", "x" * 64),
    ("name", "a\x00"),
    ("scopes", []),
    ("scopes", ["admin"]),
    ("scopes", None),
    ("expires_at", "2030-01-01T00:00:00"),
    ("expires_at", "tomorrow"),
    ("expires_at", "2020-01-01T00:00:00Z"),
    ("user_id", "somebody"),
]


def holder(user: User, **fields: Any) -> User:
    """Return the user by a new API key."""
    made = user.make(KEYS, **{**GOOD, **fields})
    return User(user.client, user.email, {"access_token": made["key"]})


def stored(app: OpenAPI, column: InstrumentedAttribute[Any]) -> Any:
    with parts(app).database.reading() as session:
        return session.scalar(select(column))


def test_key_is_shown_once_and_stored_as_a_digest(app: OpenAPI, user: User) -> None:
    response = user.post(KEYS, json=GOOD)

    made = response.get_json()
    assert response.status_code == 201
    assert response.headers["Cache-Control"] == "no-store"
    assert made["key"].startswith("vbx_ak_") and len(made["key"]) > 40
    assert made["key"].startswith(made["prefix"]) and len(made["prefix"]) == 12
    assert made["scopes"] == ["execute", "read"]
    assert made["key"] not in user.get(KEYS).get_data(as_text=True)
    with parts(app).database.reading() as session:
        row = session.scalars(select(ApiKey)).one()
        assert made["key"] not in str(vars(row).values())


def test_key_names_its_owner(user: User) -> None:
    assert holder(user).get(ME).get_json()["email"] == user.email


def test_one_broken_field_is_named(user: User, subtests: pytest.Subtests) -> None:
    for field, value in BROKEN:
        with subtests.test(f"{field}: {value!r}"):
            response = user.post(KEYS, json={**GOOD, field: value})

            errors = assert_problem(response, 422, "invalid-input")["errors"]
            assert {error["field"].partition(".")[0] for error in errors} == {field}


def test_expired_key_is_invalid(app: OpenAPI, user: User) -> None:
    expires = datetime.now(UTC) + timedelta(hours=1)
    key = holder(user, expires_at=expires.isoformat())
    assert key.get(ME).status_code == 200
    with parts(app).database.writing() as session:
        session.execute(update(ApiKey).values(expires_at=utc_now()))

    assert_problem(key.get(ME), 401, "invalid-token")
    assert [item["name"] for item in user.get(KEYS).get_json()["items"]] == ["ci"]


def test_revoked_key_is_invalid_at_once_and_its_name_free(user: User) -> None:
    key = holder(user)
    (shown,) = user.get(KEYS).get_json()["items"]

    assert user.send("DELETE", f"{KEYS}/{shown['id']}").status_code == 204

    assert_problem(key.get(ME), 401, "invalid-token")
    assert user.get(KEYS).get_json()["items"] == []
    assert_problem(user.send("DELETE", f"{KEYS}/{shown['id']}"), 404, "api-key-not-found")
    assert holder(user).get(ME).status_code == 200


def test_name_is_unique_among_the_owners(user: User, stranger: User) -> None:
    holder(user)

    assert_problem(user.post(KEYS, json=GOOD), 409, "api-key-name-taken")
    holder(stranger)


def test_key_of_somebody_else_does_not_exist(user: User, stranger: User) -> None:
    key = holder(user)
    (shown,) = user.get(KEYS).get_json()["items"]

    assert stranger.get(KEYS).get_json()["items"] == []
    response = stranger.send("DELETE", f"{KEYS}/{shown['id']}")
    assert_problem(response, 404, "api-key-not-found")
    assert key.get(ME).status_code == 200


def test_key_makes_and_revokes_no_keys(user: User) -> None:
    key = holder(user, scopes=["read", "write", "execute"])
    (shown,) = key.get(KEYS).get_json()["items"]

    for response in (
        key.post(KEYS, json={**GOOD, "name": "other"}),
        key.send("DELETE", f"{KEYS}/{shown['id']}"),
        key.post("/api/v1/auth/logout"),
    ):
        assert "log in" in assert_problem(response, 403, "permission-denied")["detail"]


def test_missing_scope_is_named(user: User) -> None:
    response = holder(user).post("/api/v1/projects", json={"name": "x"})

    assert "'write'" in assert_problem(response, 403, "permission-denied")["detail"]


def test_authentications_by_key_are_counted(client: FlaskClient, user: User) -> None:
    key = holder(user)
    with moved("vibebox_auth_attempts_total") as attempts:
        key.get(ME)
        client.get(ME, headers={"Authorization": "Bearer vbx_ak_unknown"})

    assert attempts == {("api_key", "success"): 1, ("api_key", "failure"): 1}


def test_last_use_is_noted_once_a_minute(app: OpenAPI, user: User) -> None:
    key = holder(user)
    assert stored(app, ApiKey.last_used_at) is None
    key.get(ME)
    first = stored(app, ApiKey.last_used_at)
    key.get(ME)
    assert first is not None and stored(app, ApiKey.last_used_at) == first

    long_ago = utc_now() - last_used.KEY_INTERVAL - timedelta(seconds=1)
    with parts(app).database.writing() as session:
        session.execute(update(ApiKey).values(last_used_at=long_ago))
    key.get(ME)
    assert stored(app, ApiKey.last_used_at) > first


@pytest.mark.parametrize("means", ["token", "refresh", "api_key"])
def test_every_authentication_renews_the_account(app: OpenAPI, user: User, means: str) -> None:
    key = holder(user)

    def refresh() -> TestResponse:
        body = {"refresh_token": user.tokens["refresh_token"]}
        response = user.client.post("/api/v1/auth/refresh", json=body)
        user.tokens = response.get_json()
        return response

    calls = {"token": lambda: user.get(ME), "api_key": lambda: key.get(ME), "refresh": refresh}
    recent = utc_now() - last_used.ACCOUNT_INTERVAL + timedelta(minutes=1)
    long_ago = utc_now() - timedelta(days=2)
    for before, renewed in ((recent, False), (long_ago, True)):
        with parts(app).database.writing() as session:
            session.execute(update(Account).values(last_authenticated_at=before))

        assert calls[means]().status_code == 200

        assert (stored(app, Account.last_authenticated_at) != before) is renewed


def test_use_that_cannot_be_noted_fails_no_request(
    app: OpenAPI, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = holder(user)

    def busy(_database: Database) -> Any:
        raise StorageUnavailableError

    monkeypatch.setattr(Database, "writing", busy)

    assert key.get(ME).status_code == 200
    assert stored(app, ApiKey.last_used_at) is None
