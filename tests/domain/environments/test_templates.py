"""Templates: those that come along, those of the operator's file, and what they fill."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask_openapi3 import OpenAPI

from app.core.errors import SettingsError
from app.domain.environments.templates import load
from app.wiring import load_settings
from tests.support.application import User
from tests.support.checks import assert_problem
from tests.support.fakes import IMAGE
from tests.web.api.test_environments import ENVIRONMENTS, body, one

OWN = {
    "name": "web",
    "description": "Ours.",
    "image": IMAGE,
    "cpu_limit": 2.0,
    "memory_limit_mb": 64,
    "env": {"A": "1"},
    "ports": [{"container_port": 8000}],
    "volume_path": None,
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "templates.json"
    file.write_text(json.dumps([OWN]))
    return file


@pytest.fixture
def user(make_app: Callable[..., OpenAPI], make_user: Callable[..., User], file: Path) -> User:
    return make_user(make_app(templates_file=str(file)).test_client(), "ada@example.org")


def test_templates_are_listed(user: User) -> None:
    listed = {item["name"]: item for item in body(user.get("/api/v1/templates"))["items"]}

    assert set(listed) == {"python", "node", "shell", "web"}
    assert listed["web"]["env"] == {"A": "1"}
    assert listed["python"]["volume_path"] == "/workspace"
    # No registry is named: the first part of an image with one has a dot or a colon.
    assert not any("/" in item["image"] for item in listed.values())


def test_template_fills_what_is_left_out(user: User) -> None:
    response = user.post(ENVIRONMENTS, json={"name": "x", "template": "web", "cpu_limit": 1.5})

    made = body(response)
    assert (made["image"], made["env"], made["volume_path"]) == (IMAGE, {"A": "1"}, None)
    assert (made["cpu_limit"], made["memory_limit_mb"]) == (1.5, 64)
    assert made["ports"] == [{"container_port": 8000, "host_port": None, "protocol": "tcp"}]


def test_body_wins_over_the_template(user: User) -> None:
    fields = {"image": "other:1", "env": {}, "ports": [], "volume_path": "/data"}
    made = body(user.post(ENVIRONMENTS, json={"name": "x", "template": "web", **fields}))

    assert {name: made[name] for name in fields} == fields


def test_limits_of_a_template_without_any_are_the_default(user: User) -> None:
    made = body(user.post(ENVIRONMENTS, json={"name": "x", "template": "python"}))

    assert (made["cpu_limit"], made["memory_limit_mb"]) == (1.0, 1024)
    assert body(user.get(one(made["id"])))["image"].startswith("python:")


def test_unknown_template_and_no_image_are_refused(user: User) -> None:
    unknown = user.post(ENVIRONMENTS, json={"name": "x", "template": "none"})
    assert_problem(unknown, 422, "template-not-found")
    errors = assert_problem(user.post(ENVIRONMENTS, json={"name": "x"}), 422, "invalid-input")
    assert errors["errors"] == [{"field": "image", "message": "Name an image or a template."}]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("[", "is not JSON"),
        ("{}", "body: Give a list"),
        (json.dumps([{**OWN, "image": "/x"}]), "0.image"),
        (json.dumps([OWN, {**OWN, "extra": 1}]), "1.extra"),
        (json.dumps([OWN, OWN]), "each name"),
    ],
)
def test_mistake_in_the_file_refuses_the_start(
    file: Path, monkeypatch: pytest.MonkeyPatch, content: Any, said: str
) -> None:
    file.unlink() if content is None else file.write_text(content)
    monkeypatch.setenv("VIBEBOX_TEMPLATES_FILE", str(file))

    with pytest.raises(SettingsError) as caught:
        load_settings()

    (mistake,) = caught.value.mistakes
    assert mistake.startswith(f"VIBEBOX_TEMPLATES_FILE: {file}") and said in mistake


def test_own_template_takes_the_place_of_a_built_in_one(file: Path) -> None:
    file.write_text(json.dumps([{"name": "python", "image": IMAGE}]))

    assert load(str(file)).get("python").image == IMAGE
