"""Whatever breaks a rule of a schema is told as a sentence for a person, at its field."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import BaseModel, ValidationError

from app.core.sentences import (
    _IN_GENERAL,
    _KINDS,
    as_sentence,
    described,
    is_described,
    place,
    sentence,
)
from app.core.settings import Settings
from app.domain.environments.templates import Template
from app.web import app as factory
from tests.support.application import User
from tests.support.checks import assert_problem

SEEN = (factory, Template, Settings)
"""Imported for the schemas that they import in turn."""
# What no person should read, whoever would have said it.
RIDDLE = re.compile(
    r"should|pattern|regex|\\[xud]|\^\[|\$$|[Ff]ield required|Input |valid (string|integer|dict)|"
    r"pydantic|NoneType|got an|Extra inputs|_type\b|<class|Value error"
)
# Keys of pydantic's core schemas that are rules, each with the kind of error that breaking it is.
RULES = {
    "pattern": "string_pattern_mismatch",
    "gt": "greater_than",
    "ge": "greater_than_equal",
    "lt": "less_than",
    "le": "less_than_equal",
    "multiple_of": "multiple_of",
}
LENGTHS = {"str": ("string_too_short", "string_too_long"), None: ("too_short", "too_long")}
TYPES = {
    "str": ("string_type", "string_unicode"),
    "int": ("int_type", "int_parsing", "int_from_float"),
    "float": ("float_type", "float_parsing", "finite_number"),
    "bool": ("bool_type", "bool_parsing"),
    "enum": ("enum",),
    "literal": ("literal_error",),
    "list": ("list_type",),
    "set": ("set_type",),
    "dict": ("dict_type",),
    "model": ("model_type", "model_attributes_type"),
    "model-fields": ("missing", "extra_forbidden"),
    "model-field": (),
    "datetime": ("datetime_type", "datetime_parsing", "timezone_aware"),
    "date": ("date_type", "date_parsing", "date_from_datetime_parsing"),
    "function-after": ("value_error",),
    "function-before": ("value_error",),
    "function-plain": ("value_error",),
    "function-wrap": ("value_error",),
}
WITHOUT_ERRORS = {
    "nullable", "default", "definitions", "definition-ref", "any", "computed-field",
    "lax-or-strict", "json-or-python", "union", "is-instance", "chain",
}  # fmt: skip
BAD: tuple[Any, ...] = (
    None, True, 1.5, float("nan"), -1, 10**30, "", "x" * 100_000, "\x00", "A b", "a\ud800",
    "2026-01-31", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", [], ["x"], [1, 1], [None] * 200,
    {}, {"1 x": 1}, {"a": None}, {"x": {}}, {"": "\x00"}, [{"container_port": 0}],
    [{"container_port": 1}] * 2,
)  # fmt: skip


def schemas(kind: type[BaseModel] = BaseModel) -> Iterator[type[BaseModel]]:
    """Yield all schemas of the product; those of answers share the types of bodies."""
    for found in kind.__subclasses__():
        if found.__module__.startswith("app."):
            yield found
        yield from schemas(found)


def nodes(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every part of a core schema that has a type."""
    if isinstance(schema, Mapping):
        if isinstance(schema.get("type"), str):
            yield schema
        for key, value in schema.items():
            if key not in ("function", "metadata", "serialization"):
                yield from nodes(value)
    elif isinstance(schema, list | tuple):
        for value in schema:
            yield from nodes(value)


ALL = sorted(set(schemas()), key=lambda model: (model.__module__, model.__name__))


def test_all_schemas_are_seen() -> None:
    names = {model.__name__ for model in ALL}

    assert {"NewEnvironment", "Registration", "NewTeam", "LogQuery", "Port", "Template"} <= names


@pytest.mark.parametrize("model", ALL, ids=lambda model: model.__name__)
def test_every_rule_has_a_sentence(model: type[BaseModel]) -> None:
    for node in nodes(model.__pydantic_core_schema__):
        kind = str(node["type"])
        if "pattern" in node:
            assert is_described(str(node["pattern"])), f"say what {node['pattern']} asks for"
        errors = [RULES[key] for key in RULES if key in node]
        shortest, longest = LENGTHS.get(kind, LENGTHS[None])
        errors += [shortest] if "min_length" in node else []
        errors += [longest] if "max_length" in node else []
        # What a setting is made of is pydantic-settings' own affair.
        if kind not in WITHOUT_ERRORS and model is not Settings:
            errors += TYPES[kind]
        assert set(errors) <= set(_KINDS), f"{model.__name__}: {kind}"


@pytest.mark.parametrize("model", ALL, ids=lambda model: model.__name__)
def test_whatever_is_wrong_is_told_in_sentences(model: type[BaseModel]) -> None:
    bodies: list[Any] = [None, [], "text", {}, {"surprise": 1}]
    bodies += [{name: bad} for name in model.model_fields for bad in BAD if model is not Settings]
    for body in bodies:
        try:
            model.model_validate(body)
        except ValidationError as caught:
            for error in caught.errors(include_url=False, include_input=False):
                said = sentence(error)
                assert not RIDDLE.search(said), f"{place(error)}: {said}"
                assert said != _IN_GENERAL, f"{error['type']} has no sentence"
                assert said == as_sentence(said), said
                assert "[key]" not in place(error)


def test_kind_of_error_that_nobody_foresaw_is_told_in_general() -> None:
    assert (
        sentence({"type": "date_from_the_future", "loc": (), "msg": "Date should"}) == _IN_GENERAL
    )
    unknown = {"type": "string_pattern_mismatch", "ctx": {"pattern": "^[^\\x00]$"}}
    assert sentence(unknown) == _IN_GENERAL


def test_pattern_has_one_sentence() -> None:
    pattern = described("^only-here$", "Say it.")
    assert described(pattern, "Say it.") == pattern
    with pytest.raises(ValueError, match="has a sentence already"):
        described(pattern, "Say it in another way.")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            {"email": "ada", "password": "x" * 12},
            {"email": "Enter an e-mail address, such as ada@example.org."},
        ),
        ({"email": "a@b.cd", "password": "short"}, {"password": "Use at least 12 characters."}),
        ({"email": "a@b.cd"}, {"password": "Fill this in."}),
    ],
    ids=["email", "short", "missing"],
)
def test_registration(client: FlaskClient, body: dict[str, str], said: dict[str, str]) -> None:
    problem = assert_problem(client.post("/api/v1/auth/register", json=body), 422, "invalid-input")

    assert {error["field"]: error["message"] for error in problem["errors"]} == said


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"name": "Big Name"}, "name", "Use lower-case letters"),
        ({"memory_limit_mb": 1}, "memory_limit_mb", "Enter a number of at least 16."),
        ({"memory_limit_mb": 10**7}, "memory_limit_mb", "Enter a number of at most 4 194 304."),
        ({"cpu_limit": "two"}, "cpu_limit", "Enter a number."),
        ({"cpu_limit": 0.001}, "cpu_limit", "Enter a number of at least 0.01."),
        ({"ports": [{"container_port": 0}]}, "ports.0.container_port", "Enter a number of at"),
        ({"env": {"1X": "y"}}, "env.1X", "Use letters, digits and underscores"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at", "Name a moment in the future"),
        ({"pull": "now"}, "pull", "Choose one of these: missing, always or never."),
        ({"image": "No Image"}, "image", "Name an image as Docker does"),
        ({"volume_path": "/a/../b"}, "volume_path", "Name an absolute path"),
    ],
)
def test_environment(user: User, fields: dict[str, Any], field: str, said: str) -> None:
    body = {"name": "one", "image": "busybox", **fields}
    problem = assert_problem(user.post("/api/v1/environments", json=body), 422, "invalid-input")

    (error,) = problem["errors"]
    assert error["field"] == field
    assert error["message"].startswith(said)
