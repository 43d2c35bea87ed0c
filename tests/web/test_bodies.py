"""What a body may make the service do: bounded work, and an answer smaller than itself."""

import io
import json
import time
from typing import Any

import pytest
from flask_openapi3 import OpenAPI

from app.core.errors import MOST_ERRORS, InvalidInputError
from app.web.openapi import MAX_BODY_BYTES, MAX_MEMBERS
from tests.support.application import User
from tests.support.checks import assert_problem
from tests.support.routes import WITH_BODY, Route

JSON = "application/json"
LARGEST = 1024 * 1024
_KEYS = {f"k{number}": 1 for number in range(90_000)}
HOSTILE: dict[str, Any] = {
    "unknown keys": _KEYS,
    "unknown keys that fit": dict(list(_KEYS.items())[:1900]),
    "nested": {"env": {f"1{number}": "" for number in range(60_000)}},
    "secrets": {"secrets": {f"1{number}": None for number in range(60_000)}},
    "long list": {"ports": [1] * 300_000},
    "lists in lists": {"ports": [[]] * 200_000},
    "long keys": {str(number) + "k" * 1000: 1 for number in range(900)},
    "one long key": {"k" * 60_000: 1},
    "long text": {"name": "x" * 60_000},
    "list": list(range(100_000)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_answer_is_small_and_soon(user: User, name: str, subtests: pytest.Subtests) -> None:
    """90,000 unknown keys were answered with 6.6 MB."""
    body = json.dumps(HOSTILE[name]).encode()
    for route in WITH_BODY:
        with subtests.test(str(route)):
            begun = time.process_time()
            answer = user.send(route.method, route.path, data=body, content_type=JSON)
            assert answer.status_code in (413, 422)
            assert len(answer.data) < 10_000
            assert time.process_time() - begun < 2


def test_what_came_in_chunks_is_counted_as_well(user: User) -> None:
    body = json.dumps({f"k{number}": 1 for number in range(4000)}).encode()
    answer = user.client.open(
        "/api/v1/environments",
        method="POST",
        headers=user.headers,
        content_type=JSON,
        input_stream=io.BytesIO(body),
        environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"},
    )
    problem = assert_problem(answer, 422, "invalid-input")
    assert problem["errors"] == [
        {"field": "body", "message": f"Has more than {MAX_MEMBERS} members"}
    ]


def test_body_has_a_size_by_route(user: User, subtests: pytest.Subtests) -> None:
    for route in WITH_BODY:
        most = LARGEST if route.rule.startswith("/api/v1/environments") else MAX_BODY_BYTES
        if "/sessions" in route.rule or "/extensions" in route.rule:
            most = MAX_BODY_BYTES
        with subtests.test(str(route)):
            assert _sent(user, route, most).status_code == 422
            told = assert_problem(_sent(user, route, most + 1), 413, "body-too-large")
            assert told["detail"] == f"Send at most {'1 MiB' if most == LARGEST else '64 KiB'}."


def _sent(user: User, route: Route, size: int) -> Any:
    body = b'{"unknown": "' + b"x" * (size - 15) + b'"}'
    return user.send(route.method, route.path, data=body, content_type=JSON)


def test_largest_environment_that_makes_sense_fits(user: User) -> None:
    id = user.new_environment(
        env={f"NAME_{number}": "é" * 200 for number in range(128)},
        ports=[{"container_port": number + 1} for number in range(32)],
    )
    assert len(user.get(f"/api/v1/environments/{id}").get_json()["env"]) == 128


@pytest.mark.parametrize("number", [1, MOST_ERRORS, MOST_ERRORS + 1, 1000])
def test_first_errors_are_listed_and_all_are_counted(user: User, number: int) -> None:
    body = {"email": "ada@example.org", "password": "x" * 12} | {
        f"k{index}": 1 for index in range(number)
    }
    answer = user.post("/api/v1/auth/register", json=body)
    problem = assert_problem(answer, 422, "invalid-input")
    assert len(problem["errors"]) == min(number, MOST_ERRORS)
    assert problem.get("error_count") == (number if number > MOST_ERRORS else None)
    if number > MOST_ERRORS:
        assert f"and {number - MOST_ERRORS} more" in problem["detail"]


def test_error_names_what_the_caller_made_up_only_so_far() -> None:
    error = InvalidInputError([{"field": "x" * 5000, "message": "y" * 5000}])
    assert len(error.detail) < 300
    assert [len(text) for text in error.errors[0].values()] == [200, 200]


def test_document_says_what_is_left_out(app: OpenAPI) -> None:
    problem = app.api_doc["components"]["schemas"]["Problem"]
    assert "error_count" in problem["properties"]
