"""Numbers, wherever they come in: from the document, so that a new field is here by itself."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask_openapi3 import OpenAPI
from pydantic import ValidationError

from app.core.settings import Settings
from app.domain.accounts.operators import set_operator
from app.engine.containers import resources
from tests.support.application import User, parts
from tests.support.routes import ROUTES, Route, operations

NUMERIC = {"number", "integer"}
NO_JSON = ("NaN", "Infinity", "-Infinity", "1" + "0" * 5000)
BEYOND = ("1e400", "-1e400", "1e300", "-1e300", str(10**30), str(-(10**30)), str(2**63))


def numeric(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the parts of a schema that let a number pass."""
    for part in (schema, *schema.get("anyOf", ())):
        if part.get("type") in NUMERIC:
            yield part


def in_bodies(app: OpenAPI) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield schema, property and what it says, of all that bodies refer to."""
    schemas = app.api_doc["components"]["schemas"]
    todo = [
        operation["requestBody"]["content"]["application/json"]["schema"]
        for _, _, operation in operations(app)
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    ]
    seen = set()
    while todo:
        name = todo.pop()["$ref"].rpartition("/")[2]
        if name in seen:
            continue
        seen.add(name)
        for field, schema in schemas[name].get("properties", {}).items():
            yield name, field, schema
            text = json.dumps(schema)
            todo += [
                {"$ref": f"/{one}"} for one in schemas if f'"#/components/schemas/{one}"' in text
            ]


def in_parameters(app: OpenAPI) -> Iterator[tuple[Route, str, dict[str, Any]]]:
    """Yield route, name and schema."""
    for method, rule, operation in operations(app):
        for parameter in operation.get("parameters", ()):
            yield _route(method, rule.rule), parameter["name"], parameter["schema"]


def test_each_number_has_bounds(app: OpenAPI) -> None:
    found = [
        (where, name, part)
        for where, name, schema in (*in_bodies(app), *in_parameters(app))
        for part in numeric(schema)
    ]
    assert {"limit", "wait", "cols", "cpu_limit", "memory_limit_mb", "container_port"} <= {
        name for _, name, _ in found
    }
    for where, name, part in found:
        assert {"minimum", "exclusiveMinimum"} & set(part), (where, name)
        assert {"maximum", "exclusiveMaximum"} & set(part), (where, name)


def test_parameter_that_is_out_of_bounds_is_refused(
    app: OpenAPI, user: User, subtests: pytest.Subtests
) -> None:
    tried = 0
    for route, name, schema in in_parameters(app):
        if not list(numeric(schema)):
            continue
        for value in (*NO_JSON[:3], *BEYOND, "nan", "inf"):
            with subtests.test(f"{route}?{name}={value}"):
                answer = user.send(route.method, f"{route.path}?{name}={value}")
                assert answer.status_code == 422
                tried += 1
    assert tried > 50


@pytest.fixture
def operator(app: OpenAPI, user: User) -> User:
    set_operator(parts(app).database, user.email, operator=True)
    return user


def test_number_in_a_body_that_is_out_of_bounds_is_refused(
    app: OpenAPI, operator: User, subtests: pytest.Subtests
) -> None:
    fields = [
        (name, field)
        for name, field, schema in in_bodies(app)
        if list(numeric(schema)) and name in ("NewEnvironment", "EnvironmentChanges", "NewQuota")
    ]
    assert len(fields) == 9
    rules = {
        "NewEnvironment": ("POST", "/api/v1/environments"),
        "EnvironmentChanges": ("PATCH", "/api/v1/environments/<environment_id>"),
        "NewQuota": ("PUT", "/api/v1/users/<user_id>/quota"),
    }
    for name, field in fields:
        route = _route(*rules[name])
        path = f"/api/v1/users/{operator.id}/quota" if name == "NewQuota" else route.path
        for value in (*NO_JSON, *BEYOND):
            with subtests.test(f"{name}.{field} = {value[:9]}"):
                sent = json.dumps({**(route.good or {}), field: "@"}).replace('"@"', value)
                answer = operator.send(
                    route.method, path, data=sent, content_type="application/json"
                )
                assert answer.status_code == (400 if value in NO_JSON else 422), sent


def _route(method: str, rule: str) -> Route:
    return next(one for one in ROUTES if (one.method, one.rule) == (method, rule))


@pytest.mark.parametrize(
    ("asked", "recorded"), [(0.01, 0.01), (0.0149, 0.015), (1 / 3, 0.333), (1.9999, 2), (16, 16)]
)
def test_record_says_what_holds(user: User, asked: float, recorded: float) -> None:
    id = user.new_environment(cpu_limit=asked)
    found = user.get(f"/api/v1/environments/{id}").get_json()["cpu_limit"]
    assert found == recorded
    assert resources(found, 512)["NanoCpus"] == round(recorded * 1e9)


@pytest.mark.parametrize("cpus", [1e-10, 0, 1e-300])
def test_no_limit_ever_gets_to_docker(cpus: float) -> None:
    """A record of before, which was as good as none."""
    assert resources(cpus, 0) == {
        "Memory": 6 * 2**20,
        "MemorySwap": 6 * 2**20,
        "NanoCpus": 10_000_000,
    }


def test_settings_are_finite(subtests: pytest.Subtests) -> None:
    names = [
        name
        for name, field in Settings.model_fields.items()
        if any(kind in str(field.annotation) for kind in ("float", "int"))
    ]
    assert len(names) > 30
    for name in names:
        for value in ("nan", "inf", "-inf", "1e300", "1e10"):
            with subtests.test(f"{name}={value}"), pytest.raises(ValidationError):
                Settings.model_validate({name: value})
