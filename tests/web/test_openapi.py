"""The OpenAPI document: every route with its auth, its errors, and examples."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI
from pydantic import ValidationError

from app._version import __version__
from app.web.api.schemas.environments import NewEnvironment
from app.web.openapi import documented_statuses
from tests.support.routes import ROUTES, Route

DOCUMENT = "/openapi/openapi.json"


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    response = client.get(DOCUMENT)
    assert response.status_code == 200
    found: dict[str, Any] = json.loads(response.data)
    return found


def operation(document: dict[str, Any], route: Route) -> dict[str, Any]:
    path = re.sub("<(.*?)>", r"{\1}", route.rule)
    found: dict[str, Any] = document["paths"][path][route.method.lower()]
    return found


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_document_names_the_service(document: dict[str, Any]) -> None:
    assert document["info"] | {"description": ""} == {
        "title": "VibeBox",
        "version": __version__,
        "description": "",
    }
    assert document["openapi"].startswith("3.")


def test_document_has_every_route_and_no_other(document: dict[str, Any]) -> None:
    documented = {
        (method.upper(), re.sub("{(.*?)}", r"<\1>", path))
        for path, operations in document["paths"].items()
        for method in operations
    }

    assert documented == {(route.method, route.rule) for route in ROUTES}


def test_every_reference_resolves(document: dict[str, Any]) -> None:
    for reference in references(document):
        found = document
        for name in reference.removeprefix("#/").split("/"):
            found = found[name]


def test_route_says_what_it_needs_and_answers(
    document: dict[str, Any], subtests: pytest.Subtests
) -> None:
    for route in ROUTES:
        with subtests.test(str(route)):
            described = operation(document, route)
            statuses = {int(status) for status in described["responses"]}

            assert described["summary"] and described["tags"]
            assert bool(described.get("security")) is (route.guarded or route.machine)
            assert ({401, 503} <= statuses) is route.guarded or not route.guarded
            assert not route.body or {400, 422} <= statuses
            assert not route.bad_query or 422 in statuses
            assert "<" not in route.rule or {404, 422} <= statuses
            assert bool(described.get("requestBody")) is (route.body or route.raw)


def test_route_that_takes_no_input_documents_no_validation_error(document: dict[str, Any]) -> None:
    for route in ROUTES:
        if not (route.body or route.bad_query or "<" in route.rule):
            assert "422" not in operation(document, route)["responses"], str(route)


def test_every_error_has_the_one_shape_and_an_example(
    document: dict[str, Any], subtests: pytest.Subtests
) -> None:
    for route in ROUTES:
        for status, response in operation(document, route)["responses"].items():
            if int(status) < 400 or route.rule == "/health/ready":
                continue
            with subtests.test(f"{route} {status}"):
                content = response["content"]["application/problem+json"]
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
                assert content["examples"]
                for slug, example in content["examples"].items():
                    value = example["value"]
                    assert value["type"] == f"urn:vibebox:problem:{slug}"
                    assert value["status"] == int(status)
                    assert set(value) == {"type", "title", "status", "detail", "request_id"}


def test_members_of_every_body_have_an_example_or_are_plain(document: dict[str, Any]) -> None:
    for name in ("Registration", "Credentials", "RefreshToken"):
        for member, schema in document["components"]["schemas"][name]["properties"].items():
            assert schema.get("examples"), f"{name}.{member}"


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    names = [operation(document, route)["operationId"] for route in ROUTES]

    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z_]+", name) for name in names)


def test_headers_of_errors_are_documented(
    document: dict[str, Any], client: FlaskClient, subtests: pytest.Subtests
) -> None:
    named = {"401": "WWW-Authenticate", "426": "Upgrade", "429": "Retry-After"}
    for route in ROUTES:
        for status, header in named.items():
            response = operation(document, route)["responses"].get(status)
            with subtests.test(f"{route} {status}"):
                assert response is None or set(response["headers"]) == {header}
    response = client.get("/api/v1/auth/me")
    assert response.status_code == 401 and named["401"] in response.headers


@pytest.mark.parametrize(
    "path", ["/api/v1/environments", "/api/v1/environments/{environment_id}/start"]
)
def test_address_of_what_was_made_is_documented(document: dict[str, Any], path: str) -> None:
    responses = document["paths"][path]["post"]["responses"]
    made = {
        status
        for status, response in responses.items()
        if "Location" in response.get("headers", {})
    }
    assert made == {"201", "202"} & set(responses) != set()


def test_schemas_hold_keywords_of_json_schema_only(document: dict[str, Any]) -> None:
    def keys(value: Any, inside: str = "") -> Iterator[str]:
        if isinstance(value, list):
            value = dict(enumerate(value))
        if isinstance(value, dict):
            for key, inner in value.items():
                if inside != "properties":
                    yield str(key)
                yield from keys(inner, str(key))

    # What pydantic writes where a bound stands behind a validator.
    assert not {"ge", "gt", "le", "lt", "max_length", "min_length"} & set(keys(document))


@pytest.mark.parametrize(
    "path",
    ["", "x", "/", "//", "/.", "/a/..", "/../a", "/..a", "/.a", "/a", "/a/", "//a/./b", "/a:b"],
)
def test_pattern_of_a_volume_path_is_the_rule(document: dict[str, Any], path: str) -> None:
    schema = document["components"]["schemas"]["NewEnvironment"]["properties"]["volume_path"]
    pattern = schema["anyOf"][0]["pattern"]
    body = {"name": "x", "image": "x", "volume_path": path}
    try:
        NewEnvironment.model_validate(body)
    except ValidationError:
        assert not re.search(pattern, path)
    else:
        assert re.search(pattern, path)


def test_bearer_is_declared(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]

    assert set(schemes) == {"bearer", "alertmanager"}
    for scheme in schemes.values():
        assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
        assert scheme["description"]


@pytest.mark.parametrize("path", ["/openapi/", "/openapi/swagger"])
def test_page_is_served(client: FlaskClient, path: str) -> None:
    response = client.get(path)

    assert response.status_code == 200
    assert response.mimetype == "text/html"


def test_page_needs_nobody_else(client: FlaskClient) -> None:
    address = "/openapi/swagger"
    page = client.get(address).get_data(as_text=True)
    sources = re.findall(r"""(?:src|href)=["']([^"'#]+)["']""", page)

    assert sources
    for source in sources:
        assert "//" not in source
        assert client.get(urljoin(address, source)).status_code == 200


def test_documented_statuses_are_those_of_the_document(
    app: OpenAPI, document: dict[str, Any]
) -> None:
    documented = documented_statuses(app)

    for route in ROUTES:
        told = operation(document, route)["responses"]
        expected = [*(int(status) for status in told if status != "414"), 500]
        assert documented[route.method, route.rule] == expected
    assert set(documented) == {(route.method, route.rule) for route in ROUTES}
