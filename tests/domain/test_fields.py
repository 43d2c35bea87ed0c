"""What bodies and queries take is what the document says: no text for a number, nothing twice."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from app.domain.fields import Cpus, Moment
from app.web.api.schemas.auth import Email
from tests.support.application import User
from tests.support.checks import assert_problem


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31t14:00:00+02:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31 12:00:00.5z", datetime(2026, 1, 31, 12, microsecond=500_000, tzinfo=UTC)),
    ],
)
def test_moment_is_taken_in_utc(text: str, moment: datetime) -> None:
    taken = TypeAdapter(Moment).validate_python(text)

    assert (taken, taken.tzinfo) == (moment, UTC)


@pytest.mark.parametrize(
    "value",
    [
        0,
        0.5,
        True,
        "0.5",
        "1769860800",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "٢٠٢٦-01-31T12:00:00Z",
    ],
)
def test_what_is_not_written_out_is_no_moment(value: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Moment).validate_python(value)


@pytest.mark.parametrize("value", [True, "1", None, float("nan"), 0, 257])
def test_what_is_no_number_of_the_range_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Cpus).validate_python(value)


@pytest.mark.parametrize("space", ["\x00", " ", "\x85", "\u2003", "\ufeff", "\x7f"])
def test_address_holds_no_space_of_any_kind(space: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Email).validate_python(f"ada{space}@example.org")


@pytest.mark.parametrize("query", ["limit=5&limit=6", "limit=5&limit=5"])
def test_parameter_that_is_given_twice_is_refused(user: User, query: str) -> None:
    problem = assert_problem(user.get(f"/api/v1/teams?{query}"), 422, "invalid-input")

    assert problem["errors"] == [{"field": "limit", "message": "Give this once."}]


def test_text_that_holds_json_is_no_body(user: User) -> None:
    response = user.post("/api/v1/teams", json='{"name": "x"}')

    assert_problem(response, 422, "invalid-input")


def test_null_is_no_value_of_a_field_to_change(user: User) -> None:
    path = f"/api/v1/environments/{user.new_environment()}"
    for name in ("name", "image", "pull", "env", "secrets", "ports", "cpu_limit"):
        assert_problem(user.send("PATCH", path, json={name: None}), 422, "invalid-input")


def test_rule_of_a_change_names_its_field_alone(user: User) -> None:
    path = f"/api/v1/environments/{user.new_environment()}"
    response = user.send("PATCH", path, json={"ports": [{"container_port": 1}] * 2})
    problem = assert_problem(response, 422, "invalid-input")

    assert [error["field"] for error in problem["errors"]] == ["ports"]
