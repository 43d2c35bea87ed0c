"""Every error of every route has the one shape, with the request id of its header."""

import dataclasses
import json
import logging
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI

from app.core.logging import JsonFormatter
from app.web.openapi import MAX_BODY_BYTES
from app.web.services import EXTENSION
from tests.support.application import User, parts
from tests.support.checks import assert_problem
from tests.support.routes import EVERYWHERE, GUARDED, ROUTES, UNKNOWN, WITH_BODY, WITH_ID

SECRET = "secret-bug-text"
JSON = {"Content-Type": "application/json"}
WRONG_METHOD = "TRACE"


class Broken:
    """A part that fails, whatever it is asked."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(SECRET)


@pytest.fixture
def broken(app: OpenAPI) -> Callable[..., None]:
    """A function that breaks parts of the application, by name."""

    def break_parts(*names: str) -> None:
        changes: dict[str, Any] = {name: Broken() for name in names}
        app.extensions[EXTENSION] = dataclasses.replace(parts(app), **changes)

    return break_parts


@pytest.fixture
def whole(app: OpenAPI) -> Iterator[None]:
    """Puts the application's parts back, so that they can be closed."""
    before = parts(app)
    yield
    app.extensions[EXTENSION] = before


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """A function that returns the log lines written meanwhile, as a process writes them."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logging.getLogger().addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.getLogger().removeHandler(handler)


def test_table_of_routes_is_complete(app: OpenAPI) -> None:
    ours = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if not rule.rule.startswith("/openapi")
    }

    assert ours == {(route.method, route.rule) for route in EVERYWHERE}


def test_unknown_path_is_a_404(client: FlaskClient, subtests: pytest.Subtests) -> None:
    for path in ("/nowhere", "/api/v1/none", "/health/none"):
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "BREW"):
            with subtests.test(f"{method} {path}"):
                assert_problem(client.open(path, method=method), 404, "not-found")


def test_wrong_method_is_a_405(client: FlaskClient, subtests: pytest.Subtests) -> None:
    for route in EVERYWHERE:
        with subtests.test(str(route)):
            response = client.open(route.path, method=WRONG_METHOD)

            assert_problem(response, 405, "method-not-allowed")
            assert route.method in response.headers["Allow"]


@pytest.mark.parametrize("header", [None, "", "Basic YTpi", "Bearer", "Bearer "])
def test_missing_login_is_a_401(
    client: FlaskClient, subtests: pytest.Subtests, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}
    for route in GUARDED:
        with subtests.test(str(route)):
            response = client.open(route.path, method=route.method, headers=headers)

            assert_problem(response, 401, "not-authenticated")
            assert response.headers["WWW-Authenticate"] == "Bearer"


def test_unknown_token_is_a_401(client: FlaskClient, subtests: pytest.Subtests) -> None:
    headers = {"Authorization": "Bearer vbx_at_unknown"}
    for route in GUARDED:
        with subtests.test(str(route)):
            response = client.open(route.path, method=route.method, headers=headers)

            assert_problem(response, 401, "invalid-token")


def test_guarded_routes_are_those_of_the_table(
    client: FlaskClient, subtests: pytest.Subtests
) -> None:
    for route in ROUTES:
        with subtests.test(str(route)):
            response = client.open(route.path, method=route.method)

            assert (response.status_code == 401) is route.guarded


def test_malformed_body_is_a_400(user: User, subtests: pytest.Subtests) -> None:
    bodies = {
        "cut": b"{",
        "not utf-8": b'{"name": "\xff"}',
        "null": b"null",
        "form": b"name=x",
        "deep": b"[" * 50_000,
        "no number": b'{"name": NaN}',
        "no finite number": b'{"name": -Infinity}',
        "too long a number": b'{"name": 1' + b"0" * 5000 + b"}",
    }
    headers = {**user.headers, **JSON}
    for route in WITH_BODY:
        for name, body in bodies.items():
            with subtests.test(f"{route}: {name}"):
                response = user.client.open(
                    route.path, method=route.method, data=body, headers=headers
                )

                assert_problem(response, 400, "malformed-body")


def test_invalid_body_is_a_422(user: User, subtests: pytest.Subtests) -> None:
    for route in WITH_BODY:
        for body in ({"unknown": 1}, [1], "text", 5, False):
            with subtests.test(f"{route}: {body}"):
                response = user.send(route.method, route.path, json=body)

                assert assert_problem(response, 422, "invalid-input")["errors"]


def test_missing_body_is_a_422(user: User, subtests: pytest.Subtests) -> None:
    for route in WITH_BODY:
        if route.method == "POST" and not route.optional:
            with subtests.test(str(route)):
                assert_problem(user.send(route.method, route.path), 422, "invalid-input")


@pytest.mark.parametrize("bad", ["x" * 129, "%00"], ids=["long", "NUL"])
def test_impossible_id_is_a_422(user: User, subtests: pytest.Subtests, bad: str) -> None:
    for route in WITH_ID:
        with subtests.test(str(route)):
            for parameter in route.parameters:
                path = route.path_with(parameter, bad)
                response = user.send(route.method, path, json=route.good)

                body = assert_problem(response, 422, "invalid-input")
                assert [error["field"] for error in body["errors"]] == [parameter]


def test_invalid_query_is_a_422(user: User, subtests: pytest.Subtests) -> None:
    for route in ROUTES:
        if route.bad_query:
            with subtests.test(str(route)):
                response = user.send(route.method, f"{route.path}?{route.bad_query}")

                assert_problem(response, 422, "invalid-input")


def test_unknown_id_is_a_404(user: User, subtests: pytest.Subtests) -> None:
    for route in WITH_ID:
        with subtests.test(str(route)):
            response = user.send(route.method, route.path, json=route.good)

            if route.operator:
                assert_problem(response, 403, "permission-denied")
            else:
                assert_problem(response, 404, UNKNOWN[route.parameters[0]])


@pytest.mark.usefixtures("whole")
def test_bug_is_a_500_that_says_nothing(
    user: User,
    subtests: pytest.Subtests,
    broken: Callable[..., None],
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    broken("lifecycle", "telemetry", "environments", "accounts", "api_keys", "teams", "projects")
    broken("quotas", "audit_log", "settings", "registration", "explanations", "own_lines", "usage")
    broken("silences")
    for number, route in enumerate(ROUTES):
        with subtests.test(str(route)):
            response = user.send(route.method, route.path, json=route.good)

            shown = assert_problem(response, 500, "internal-server-error")
            text = response.get_data(as_text=True)
            assert SECRET not in text and "RuntimeError" not in text and "Traceback" not in text
            logged = [line for line in lines() if line["level"] == "error"]
            assert len(logged) == number + 1
            assert logged[-1]["request_id"] == shown["request_id"]
            assert SECRET in logged[-1]["exception"]


@pytest.mark.usefixtures("whole")
def test_bug_behind_the_login_is_a_500(user: User, broken: Callable[..., None]) -> None:
    broken("environments")

    assert_problem(user.get("/api/v1/environments"), 500, "internal-server-error")


def test_lost_database_is_a_503_that_says_nothing(make_app: Callable[..., OpenAPI]) -> None:
    client = make_app(database_url="sqlite:////proc/nowhere/x.db").test_client()
    response = client.get("/api/v1/auth/me", headers={"Authorization": "Bearer vbx_at_x"})

    assert_problem(response, 503, "storage-refused")
    assert response.headers["Retry-After"] == "5"
    assert "proc" not in response.get_data(as_text=True)


def test_redirect_of_the_router_stays_one(client: FlaskClient) -> None:
    response = client.get("/openapi")

    assert response.status_code == 308
    assert response.headers["Location"].endswith("/openapi/")


def test_text_without_unicode_is_a_422(client: FlaskClient) -> None:
    body = r'{"email": "a\ud800@b.cd", "password": "correct horse battery"}'
    response = client.post("/api/v1/auth/register", data=body, headers=JSON)

    assert_problem(response, 422, "invalid-input")


def test_body_over_the_limit_is_refused(client: FlaskClient) -> None:
    body = b'{"email": "' + b"a" * MAX_BODY_BYTES + b'"}'

    response = client.post("/api/v1/auth/login", data=body, content_type="application/json")

    assert_problem(response, 413, "body-too-large")
