"""Under which names requests are served, and what any name may ask."""

import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI

from app.core.addresses import address_of
from app.web.hosts import ANY_HOST, KnownHosts, is_of_this_machine
from tests.support.application import MakeApp
from tests.support.checks import PASSWORD, assert_problem

EVIL = "evil.example:3000"
ACCOUNT = {"email": "ada@example.org", "password": PASSWORD}
ALERTS_TOKEN = "alerts-token-of-the-service"
HEALTH = ("/health", "/health/live", "/health/ready")


def ask(client: FlaskClient, host: str, path: str = "/api/v1/templates", **named: Any) -> Any:
    """Send a request for `host`."""
    return client.open(path, environ_overrides={"HTTP_HOST": host}, **named)


def test_page_of_a_rebound_name_can_do_nothing(client: FlaskClient) -> None:
    headers = {"Origin": f"http://{EVIL}"}
    problem = assert_problem(
        ask(client, EVIL, "/api/v1/auth/register", method="POST", json=ACCOUNT, headers=headers),
        421,
        "misdirected-request",
    )
    assert "VIBEBOX_ALLOWED_HOSTS" in problem["detail"]
    assert "evil.example" in problem["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/sign-in",
        "/console/token",
        "/openapi/openapi.json",
        "/nothing",
        "/api/v1/environments",
    ],
)
def test_nothing_is_served_to_an_unknown_name(client: FlaskClient, path: str) -> None:
    assert ask(client, EVIL, path).status_code == 421


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST:3000", "localhost.", "localhost.:3000", "127.0.0.1:3000"),
        *("127.1.2.3", "[::1]:3000", "[::ffff:127.0.0.1]"),
    ],
)
def test_names_of_loopback_are_served(client: FlaskClient, host: str) -> None:
    assert ask(client, host).status_code == 401


def test_request_that_names_no_host_is_served() -> None:
    """HTTP/1.0; browsers always name one."""
    assert KnownHosts("127.0.0.1", frozenset()).serves({"RAW_URI": "/"})


@pytest.mark.parametrize(
    "host",
    [
        *("", "evil.example,localhost", "localhost.evil.example", "127.0.0.1.evil.example"),
        *("localhost@evil.example", "192.0.2.1", "[2001:db8::1]", "0.0.0.0", "224.0.0.1", "[::]"),
        *("127.1", "localhost:99999", "foo"),
    ],
)
def test_other_names_are_not(host: str) -> None:
    hosts = KnownHosts("127.0.0.1", frozenset())
    assert not hosts.serves({"HTTP_HOST": host, "RAW_URI": "/"})


def test_target_that_names_a_host_counts_as_well() -> None:
    hosts = KnownHosts("127.0.0.1", frozenset())
    ours = {"HTTP_HOST": "localhost", "RAW_URI": "/"}
    assert hosts.serves(ours)
    assert hosts.serves(ours | {"RAW_URI": "http://127.0.0.1:3000/"})
    assert not hosts.serves(ours | {"RAW_URI": "http://evil.example/"})
    assert not hosts.serves(ours | {"RAW_URI": "http://[evil/"})


def test_forwarded_host_is_not_believed(client: FlaskClient) -> None:
    headers = {"X-Forwarded-Host": "localhost", "Forwarded": "host=localhost"}
    assert ask(client, EVIL, headers=headers).status_code == 421
    assert ask(client, "localhost", headers={"X-Forwarded-Host": EVIL}).status_code == 401


@pytest.mark.parametrize("host", ["vibebox.example.org", "VIBEBOX.example.org.:443", "10.1.2.3:80"])
def test_listed_names_are_served_beside_those_of_loopback(
    make_app: Callable[..., OpenAPI], host: str
) -> None:
    client = make_app(allowed_hosts="VibeBox.example.org, 10.1.2.3").test_client()
    assert ask(client, host).status_code == 401
    assert ask(client, "localhost").status_code == 401
    assert ask(client, EVIL).status_code == 421


def test_list_holds_behind_a_proxy_too(make_app: Callable[..., OpenAPI]) -> None:
    client = make_app(allowed_hosts="vibebox.example.org", trusted_proxies=1).test_client()
    assert ask(client, EVIL).status_code == 421


def test_unknown_name_behind_a_proxy_is_told_once(
    make_app: Callable[..., OpenAPI], caplog: pytest.LogCaptureFixture
) -> None:
    client = make_app(trusted_proxies=1).test_client()
    with caplog.at_level(logging.WARNING, "app.web.hosts"):
        for host in (EVIL, "EVIL.example", "evil.example.:1", "other.example", "localhost"):
            assert ask(client, host).status_code == 401
    told = [vars(record)["host"] for record in caplog.records]
    assert told == ["evil.example", "other.example"]


def test_told_names_are_few(caplog: pytest.LogCaptureFixture) -> None:
    hosts = KnownHosts("127.0.0.1", frozenset(), only_told=True)
    for number in range(3000):
        assert hosts.serves({"HTTP_HOST": f"{number}.example", "RAW_URI": "/"})
    assert len(caplog.records) == 100


@pytest.mark.parametrize("path", HEALTH)
def test_health_answers_any_name(client: FlaskClient, path: str) -> None:
    for host in (EVIL, "backend:3000", "", "not well formed"):
        assert ask(client, host, path).status_code in (200, 503)


def test_scrape_with_the_token_answers_any_name(make_app: Callable[..., OpenAPI]) -> None:
    client = make_app(metrics_token="of-the-service").test_client()
    path = "/health/metrics"
    assert ask(client, "backend:3000", path).status_code == 403
    bearer = {"Authorization": "Bearer of-the-service"}
    assert ask(client, "backend:3000", path, headers=bearer).status_code == 200


@pytest.mark.parametrize("host", [EVIL, "192.0.2.1:3000", "localhost.evil.example"])
def test_peer_on_this_host_reads_metrics_by_names_of_loopback_only(
    client: FlaskClient, host: str
) -> None:
    assert_problem(ask(client, host, "/health/metrics"), 403, "metrics-forbidden")
    for ours in ("localhost:3000", "127.0.0.1", "[::1]:3000"):
        assert ask(client, ours, "/health/metrics").status_code == 200


def test_alertmanager_may_use_any_name_and_accounts_may_not(
    make_app: Callable[..., OpenAPI],
) -> None:
    client = make_app(alerts_token=ALERTS_TOKEN).test_client()
    bearer = {"Authorization": f"Bearer {ALERTS_TOKEN}"}
    path = "/api/v1/alerts"
    body = {"version": "4", "status": "firing", "alerts": []}
    sent = ask(client, "backend:3000", path, method="POST", json=body, headers=bearer)
    assert sent.status_code == 200, sent.get_data(as_text=True)
    assert ask(client, "backend:3000", path).status_code == 421


def test_endpoints_that_answer_any_name_exist_and_take_no_account(make_app: MakeApp) -> None:
    """One that takes an account or a cookie must not be among them."""
    app = make_app(
        user_otlp_endpoint="http://127.0.0.1:1", secret_keys=Fernet.generate_key().decode()
    )
    rules = {rule.endpoint: rule for rule in app.url_map.iter_rules()}
    assert ANY_HOST <= set(rules)
    # No part of the API: see `app.web.user_telemetry`, whose tests show that a token is needed.
    for endpoint in ANY_HOST - {"user_telemetry.receive"}:
        operations = app.api_doc["paths"][rules[endpoint].rule]
        method = "post" if endpoint == "alerts.receive" else "get"
        assert operations[method].get("security") in (None, [], [{"alertmanager": []}])


def test_address_of_an_interface_is_of_this_machine() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        own = address_of(probe.getsockname()[0])
    assert own is not None and is_of_this_machine(own)
    for text in ("192.0.2.1", "2001:db8::1", "fe80::1", "0.0.0.0", "::", "224.0.0.1"):
        other = address_of(text)
        assert other is not None and not is_of_this_machine(other)


def test_redirect_names_neither_scheme_nor_host(client: FlaskClient) -> None:
    """Behind a proxy that ends TLS ours would be http://."""
    for path in ("/openapi", "/health/", "/api/v1/environments/"):
        response = client.get(path)
        if response.status_code in range(300, 400):
            assert response.headers["Location"].startswith("/")


def test_query_goes_along_with_a_redirect(app: OpenAPI) -> None:
    app.add_url_rule("/folder/", "folder", lambda: "")
    response = app.test_client().get("/folder?a=b&c=d%20e", base_url="https://localhost")
    assert (response.status_code, response.headers["Location"]) == (308, "/folder/?a=b&c=d%20e")


def test_misdirected_request_is_one_for_no_route_of_ours(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever asks by other names adds nothing to the counts of a route."""
    with caplog.at_level(logging.INFO, "app.access"):
        ask(client, EVIL)
        ask(client, "localhost")
    routes = [vars(record)["route"] for record in caplog.records if record.msg == "request"]
    assert routes == ["unmatched", "/api/v1/templates"]
