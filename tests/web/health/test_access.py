"""Who may read the metrics."""

from collections.abc import Callable

import pytest
from flask_openapi3 import OpenAPI
from werkzeug.datastructures import Headers

from app.web.health.access import FORWARDING_HEADERS, may_scrape
from tests.support.checks import assert_problem

TOKEN = "scrape-me-not"
OUTSIDE = "192.0.2.7"
LOOPBACK = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]
ELSEWHERE = [OUTSIDE, "10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1", "0.0.0.0", "::", "", "nobody"]


def bearer(value: str) -> Headers:
    return Headers({"Authorization": value})


@pytest.mark.parametrize("peer", LOOPBACK)
@pytest.mark.parametrize("token", [None, TOKEN])
def test_loopback_needs_no_token(peer: str, token: str | None) -> None:
    assert may_scrape(peer, Headers(), token)


@pytest.mark.parametrize("peer", ELSEWHERE)
@pytest.mark.parametrize("token", [None, "", TOKEN])
def test_everybody_else_needs_one(peer: str, token: str | None) -> None:
    assert not may_scrape(peer, Headers(), token)


@pytest.mark.parametrize("peer", ELSEWHERE)
def test_right_token_opens_to_everybody(peer: str) -> None:
    assert may_scrape(peer, bearer(f"Bearer {TOKEN}"), TOKEN)


@pytest.mark.parametrize("name", FORWARDING_HEADERS)
@pytest.mark.parametrize("case", [str.lower, str.upper, str])
def test_forwarding_header_ends_the_privilege_of_loopback(
    name: str, case: Callable[[str], str]
) -> None:
    headers = Headers({case(name): "127.0.0.1"})

    assert not may_scrape("127.0.0.1", headers, None)


def test_forwarded_scraper_with_the_token_may_read() -> None:
    headers = Headers({"X-Forwarded-For": OUTSIDE, "Authorization": f"Bearer {TOKEN}"})

    assert may_scrape("127.0.0.1", headers, TOKEN)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        TOKEN,
        f"Basic {TOKEN}",
        "Bearer wrong",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN.upper()}",
        f"Bearer {TOKEN} {TOKEN}",
        "Bearer caf\xe9",
    ],
)
def test_wrong_token_does_not(value: str) -> None:
    assert not may_scrape(OUTSIDE, bearer(value), TOKEN)


@pytest.mark.parametrize("token", [None, ""])
@pytest.mark.parametrize("value", ["Bearer ", "Bearer None", "Bearer"])
def test_no_token_set_means_nobody(token: str | None, value: str) -> None:
    assert not may_scrape(OUTSIDE, bearer(value), token)


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
def test_scheme_is_read_in_any_case(scheme: str) -> None:
    assert may_scrape(OUTSIDE, bearer(f"{scheme} {TOKEN}"), TOKEN)


def test_route_asks(make_app: Callable[..., OpenAPI]) -> None:
    client = make_app(metrics_token=TOKEN).test_client()
    outside = {"REMOTE_ADDR": OUTSIDE}

    assert client.get("/health/metrics").status_code == 200
    refused = client.get("/health/metrics", environ_overrides=outside)
    assert_problem(refused, 403, "metrics-forbidden")
    assert TOKEN not in refused.get_data(as_text=True)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    admitted = client.get("/health/metrics", environ_overrides=outside, headers=headers)
    assert admitted.status_code == 200


def test_route_refuses_outsiders_where_no_token_is_set(app: OpenAPI) -> None:
    response = app.test_client().get(
        "/health/metrics",
        environ_overrides={"REMOTE_ADDR": OUTSIDE},
        headers={"Authorization": "Bearer x"},
    )

    assert_problem(response, 403, "metrics-forbidden")


@pytest.mark.parametrize("forwarded", ["127.0.0.1", "127.0.0.1, 127.0.0.1", "::1"])
def test_trusted_proxies_open_nothing(
    make_app: Callable[..., OpenAPI], forwarded: str, subtests: pytest.Subtests
) -> None:
    client = make_app(metrics_token=TOKEN, trusted_proxies=1).test_client()
    for peer in (OUTSIDE, "127.0.0.1"):
        with subtests.test(peer):
            refused = client.get(
                "/health/metrics",
                environ_overrides={"REMOTE_ADDR": peer},
                headers={"X-Forwarded-For": forwarded},
            )
            assert_problem(refused, 403, "metrics-forbidden")
    assert client.get("/health/metrics").status_code == 200
    outside = client.get("/health/metrics", environ_overrides={"REMOTE_ADDR": OUTSIDE})
    assert_problem(outside, 403, "metrics-forbidden")
