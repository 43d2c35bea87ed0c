"""No header of a request, whatever is in it, is a fault of ours: nothing but 5xx is excluded."""

import re
from collections.abc import Mapping

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from prefork_metrics.exposition import Encoding
from tests.sizes import size
from tests.support.application import User
from tests.support.routes import EVERYWHERE, Route

HEALTH = ("/health", "/health/live", "/health/ready", "/health/metrics")
NAMES = (
    "Accept",
    "Accept-Charset",
    "Accept-Encoding",
    "Accept-Language",
    "Authorization",
    "Cache-Control",
    "Content-Encoding",
    "Content-Type",
    "Cookie",
    "Date",
    "Expect",
    "Forwarded",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "If-Unmodified-Since",
    "Origin",
    "Pragma",
    "Range",
    "Referer",
    "TE",
    "Upgrade",
    "User-Agent",
    "Via",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Request-ID",
    "traceparent",
    "tracestate",
)
NONSENSE = (
    "",
    " ",
    ",;=,;=",
    "*/*;q=nan",
    "text/plain;version=x",
    "application/openmetrics-text;version=1.0.0.0.0;escaping=\xff",
    "application/json; charset=no-such-charset",
    "application/json; charset=\xe4\xf6",
    "multipart/form-data; boundary=",
    "bytes=-1-,x-99999999999999999999999",
    "Basic \xff\xfe:::",
    "Bearer ",
    "Bearer \xe4\x80\x00"[:-1],
    'W/"unclosed, "',
    "Sun, 99 Nov 9999999999999 99:99:99 GMT",
    "-99999999999999999999999999",
    "1e400",
    "a=b; a; =; \x7f\x80\xff",
    "00-" + "0" * 32 + "-" + "0" * 16 + "-zz",
    "%00%ff%%",
    "x" * 4000,
)
values = st.one_of(
    st.sampled_from(NONSENSE),
    # What a server lets through: Latin-1 without the ends of lines.
    st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=60),
    st.from_regex(
        r"(text/plain|application/openmetrics-text|\*/\*)"
        r"(;(version|q|escaping|charset)=[a-z0-9.+-]{0,8}){0,3}",
        fullmatch=True,
    ),
)


@pytest.mark.parametrize("path", HEALTH)
def test_health_routes_answer_whatever_the_headers_say(app: Flask, path: str) -> None:
    client = app.test_client()

    @settings(max_examples=size(15, 50), deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.dictionaries(st.sampled_from(NAMES), values, max_size=6))
    def check(headers: Mapping[str, str]) -> None:
        response = client.get(path, headers=headers)
        assert response.status_code in ((200, 503) if path.endswith("ready") else (200, 403))

    check()


KIND = re.compile(
    r"text/plain; version=(0\.0\.4|1\.0\.0); charset=utf-8(; escaping=[a-z0-9-]+)?"
    r"|application/openmetrics-text; version=1\.0\.0; charset=utf-8(; escaping=[a-z0-9-]+)?"
)


@settings(max_examples=size(150, 500), deadline=None)
@given(accept=values)
def test_every_accept_header_is_answered_in_a_format_that_we_write(accept: str) -> None:
    assert KIND.fullmatch(Encoding(accept).content_type)


@pytest.mark.parametrize(
    "accept",
    [
        "text/plain;version=x",
        "text/plain;version=1.0.0;escaping=allow-utf-8",
        "application/openmetrics-text;version=2.0.0",
        "application/openmetrics-text;version=x,application/openmetrics-text;version=1.0.0",
    ],
)
def test_scrape_is_of_the_type_that_it_says(client: FlaskClient, accept: str) -> None:
    response = client.get("/health/metrics", headers={"Accept": accept})
    assert response.status_code == 200
    kind = response.headers["Content-Type"]
    assert KIND.fullmatch(kind)
    parse = parse_openmetrics if kind.startswith("application") else parse_text
    families = parse(response.get_data(as_text=True))
    assert any(family.name == "vibebox_http_requests" for family in families)


@pytest.mark.parametrize("first", range(0, len(NAMES), 10))
def test_no_route_fails_by_a_header(user: User, first: int) -> None:
    """Each route with nonsense in a third of the headers at a time; in the gate, in turns."""
    turns = size(3, 1)
    for turn, route in enumerate(EVERYWHERE):
        for nonsense in NONSENSE[turn % turns :: turns]:
            headers = dict.fromkeys(NAMES[first : first + 10], nonsense)
            if route.guarded and "Authorization" not in headers:
                headers |= user.headers
            check_not_ours(user.client, route, headers)


def check_not_ours(client: FlaskClient, route: Route, headers: Mapping[str, str]) -> None:
    body = {"json": route.good} if route.good and "Content-Type" not in headers else {"data": b"{}"}
    response = client.open(route.path, method=route.method, headers=headers, **body)
    allowed = response.status_code < 500 or response.status_code == 503
    assert allowed, f"{route} with {headers}: {response.status_code}"
