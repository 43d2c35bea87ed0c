"""Limits of authentication: by account and by address, and never for good tokens or owners."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI
from werkzeug.test import TestResponse

from app import create_app
from app.core.errors import SettingsError
from app.core.settings import Settings
from app.wiring import load_settings
from tests.support.application import User, parts, sign_up
from tests.support.checks import ORIGIN, PASSWORD, assert_problem, moved

AUTH = "/api/v1/auth"
ME = f"{AUTH}/me"
BAD = {"Authorization": "Bearer vbx_at_unknown"}


@pytest.fixture
def make_client(make_app: Callable[..., OpenAPI]) -> Callable[..., FlaskClient]:
    def make(account: int = 100, address: int = 100, **changes: Any) -> FlaskClient:
        return make_app(
            rate_limit_account=f"{account} per hour",
            rate_limit_address=f"{address} per hour",
            **changes,
        ).test_client()

    return make


def login(
    client: FlaskClient, email: str = "ada@example.org", password: str = "wrong", **named: Any
) -> TestResponse:
    body = {"email": email, "password": password}
    return client.post(f"{AUTH}/login", json=body, **named)


def peer(address: str) -> dict[str, Any]:
    return {"environ_overrides": {"REMOTE_ADDR": address}}


def statuses(count: int, call: Callable[[], TestResponse]) -> list[int]:
    return [call().status_code for _ in range(count)]


def test_account_is_limited_at_an_address(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(account=3)
    sign_up(client, "ada@example.org")
    emails = ["ada@example.org", "ADA@example.org", "ada@example.org"]
    for email in emails:
        assert login(client, email, **peer("192.0.2.9")).status_code == 401

    refused = login(client, password=PASSWORD, **peer("192.0.2.9"))
    assert_problem(refused, 429, "too-many-attempts")
    assert 3500 < int(refused.headers["Retry-After"]) <= 3600
    assert login(client, "eve@example.org", **peer("192.0.2.9")).status_code == 401
    # Whose account it is signs in from elsewhere.
    assert login(client, password=PASSWORD, **peer("192.0.2.10")).status_code == 200


def test_strangers_do_not_lock_an_owner_out(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(account=3, address=1000)
    sign_up(client, "ada@example.org")
    for number in range(100, 112):
        statuses(3, lambda n=number: login(client, **peer(f"192.0.2.{n}")))  # type: ignore[misc]

    # 36 wrong ones of 12 strangers: no more of those, but of who was here before.
    refused = login(client, password=PASSWORD, **peer("192.0.2.200"))
    assert_problem(refused, 429, "too-many-attempts")
    assert login(client, password=PASSWORD).status_code == 200
    assert login(client, "eve@example.org", **peer("192.0.2.200")).status_code == 401


def test_address_is_limited_whatever_the_account(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(address=3)
    for number in range(3):
        assert login(client, f"u{number}@example.org").status_code == 401

    assert_problem(login(client, "other@example.org"), 429, "too-many-attempts")
    assert login(client, "other@example.org", **peer("192.0.2.10")).status_code == 401


@pytest.mark.parametrize("path", [f"{AUTH}/login", f"{AUTH}/register", "/console/sign-in"])
def test_hashes_of_one_address_do_not_make_the_server_busy(
    app: OpenAPI, client: FlaskClient, path: str
) -> None:
    turns = parts(app).accounts._passwords._turns
    assert turns is not None
    turns._here["192.0.2.9"] = turns._room - 1
    body = {"email": "ada@example.org", "password": PASSWORD}
    named: dict[str, Any] = {"json": body, "headers": {"Origin": ORIGIN}}
    total = "registrations" if path.endswith("register") else "auth_attempts"

    with moved(f"vibebox_{total}_total") as told:
        refused = client.post(path, **named, **peer("192.0.2.9"))
    assert_problem(refused, 429, "too-many-attempts")
    assert refused.headers["Retry-After"] == "1"
    assert len(told) == 1, "as what limits refuse"
    assert client.post(path, **named, **peer("192.0.2.10")).status_code in (201, 401)


def test_failures_of_every_kind_share_the_address(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(address=4)
    calls: list[Callable[[], TestResponse]] = [
        lambda: client.get(ME, headers=BAD),
        lambda: client.get(ME, headers={"Authorization": "Bearer vbx_ak_unknown"}),
        lambda: client.post(f"{AUTH}/refresh", json={"refresh_token": "x"}),
        lambda: login(client),
    ]
    assert [call().status_code for call in calls] == [401] * 4
    for call in calls:
        assert_problem(call(), 429, "too-many-attempts")
        assert call().headers["Retry-After"]


def test_good_tokens_are_never_refused(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(address=2)
    user = sign_up(client, "ada@example.org")
    statuses(5, lambda: client.get(ME, headers=BAD))

    assert statuses(5, lambda: user.get(ME)) == [200] * 5
    body = {"refresh_token": user.tokens["refresh_token"]}
    assert client.post(f"{AUTH}/refresh", json=body).status_code == 200


def test_whoever_offers_nothing_is_not_counted(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(address=2)

    assert statuses(5, lambda: client.get(ME)) == [401] * 5
    assert client.get(ME, headers=BAD).status_code == 401


def test_everything_else_is_unlimited(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(account=1, address=1)
    statuses(3, lambda: login(client))

    for path in ("/health", "/health/live", "/health/ready", "/health/metrics"):
        assert 429 not in statuses(5, lambda path=path: client.get(path))  # type: ignore[misc]
    body = {"email": "new@example.org", "password": PASSWORD}
    assert client.post(f"{AUTH}/register", json=body).status_code == 201


def test_registrations_of_an_address_are_limited(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(rate_limit_registration="3 per hour")
    bodies = [{"email": f"u{n}@example.org", "password": PASSWORD} for n in range(6)]

    def register(body: dict[str, str], address: str) -> TestResponse:
        return client.post(f"{AUTH}/register", json=body, **peer(address))

    with moved("vibebox_registrations_total") as told:
        answers = [register(body, "192.0.2.9").status_code for body in bodies[:5]]
    assert answers == [201, 201, 201, 429, 429]
    assert told == {("open", "created"): 3, ("open", "limited"): 2}
    assert register(bodies[5], "192.0.2.10").status_code == 201


def test_limit_of_registrations_follows_that_of_the_address() -> None:
    assert Settings().registration_rate == "20 per hour"
    assert Settings(rate_limit_address="2 per minute").registration_rate == "1 per hour"
    assert Settings(rate_limit_registration="5 per day").registration_rate == "5 per day"


def test_refused_attempts_are_counted_as_failed(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(address=2)
    with moved("vibebox_auth_attempts_total") as attempts:
        statuses(4, lambda: login(client))
        statuses(3, lambda: client.get(ME, headers=BAD))

    assert attempts == {("password", "failure"): 4, ("token", "failure"): 3}


def test_limiter_has_no_hook_in_requests(app: OpenAPI) -> None:
    hooks = (app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs)

    assert "limiter" not in repr(hooks).lower()


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-Ip", "Forwarded"])
def test_forged_header_does_not_escape(
    make_client: Callable[..., FlaskClient], header: str
) -> None:
    client = make_client(address=2)

    answers = [
        login(client, f"u{n}@example.org", headers={header: f"192.0.2.{n}"}).status_code
        for n in range(4)
    ]

    assert answers == [401, 401, 429, 429]


def test_trusted_proxy_tells_the_address_and_the_client_does_not(
    make_client: Callable[..., FlaskClient],
) -> None:
    client = make_client(address=2, trusted_proxies=1)

    def through(forged: str, address: str, number: int) -> int:
        headers = {"X-Forwarded-For": f"{forged}, {address}"}
        return login(client, f"u{number}@example.org", headers=headers).status_code

    assert [through(f"203.0.113.{n}", "192.0.2.1", n) for n in range(3)] == [401, 401, 429]
    assert through("203.0.113.0", "192.0.2.2", 9) == 401


@pytest.mark.parametrize("form", ["192.0.2.1:{}", "[2001:db8::1]:{}", "2001:db8::1"])
def test_port_that_a_proxy_writes_is_no_part_of_the_address(
    make_client: Callable[..., FlaskClient], form: str
) -> None:
    client = make_client(address=2, trusted_proxies=1)

    def through(address: str, number: int) -> int:
        headers = {"X-Forwarded-For": address}
        return login(client, f"u{number}@example.org", headers=headers).status_code

    assert [through(form.format(4000 + n), n) for n in range(3)] == [401, 401, 429]
    assert through("192.0.2.2:4711", 9) == 401
    assert through("198.51.100.7", 9) == 401


def test_customers_of_ipv6_are_networks(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(address=2)

    def of(address: str) -> int:
        return login(client, f"{len(address)}@example.org", **peer(address)).status_code

    assert [of(f"2001:db8::{n}") for n in range(1, 4)] == [401, 401, 429]
    assert of("2001:db8:0:1::1") == 401
    assert [of("::ffff:192.0.2.1"), of("192.0.2.1"), of("192.0.2.1")] == [401, 401, 429]


def test_storage_that_is_away_fails_no_login(
    make_client: Callable[..., FlaskClient], caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client(account=3, rate_limit_storage="redis://:s3cr3t@127.0.0.1:1/0")
    user: User = sign_up(client, "ada@example.org")

    assert user.get(ME).status_code == 200
    assert statuses(3, lambda: login(client)) == [401, 401, 429]
    assert "falling back to in-memory" in caplog.text
    assert "s3cr3t" not in caplog.text and "ada@example.org" not in caplog.text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VIBEBOX_RATE_LIMIT_ACCOUNT", "often"),
        ("VIBEBOX_RATE_LIMIT_ADDRESS", "10 per fortnight"),
        ("VIBEBOX_RATE_LIMIT_STORAGE", "memcached://s3cr3t"),
    ],
)
def test_nonsense_in_the_settings_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert caught.value.mistakes[0].startswith(f"{name}: must ")
    assert "s3cr3t" not in str(caught.value)


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setitem(__import__("sys").modules, "redis", None)

    with pytest.raises(SettingsError, match="VIBEBOX_RATE_LIMIT_STORAGE"):
        create_app(Settings(database_url=database_url, rate_limit_storage="redis://127.0.0.1"))
