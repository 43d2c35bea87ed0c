"""An application that looks often, and a team whose project has an environment."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI

from app.web.admission import admission
from tests.support.application import MakeApp, User
from tests.support.fakes import IMAGE

PAUSE = 0.02


@pytest.fixture
def app(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> OpenAPI:
    monkeypatch.setattr(admission, "PAUSE", PAUSE)
    return make_app()


@dataclass
class Team:
    """A team of its admin and one developer."""

    id: str
    admin: User
    developer: User
    environment: str

    def put(self, role: str) -> None:
        """Give the developer another role."""
        path = f"/api/v1/teams/{self.id}/members/{self.developer.id}"
        assert self.admin.put(path, json={"role": role}).status_code == 200

    def remove(self) -> None:
        """Take the developer out."""
        path = f"/api/v1/teams/{self.id}/members/{self.developer.id}"
        assert self.admin.send("DELETE", path).status_code == 204


@pytest.fixture
def team(client: FlaskClient, user: User, make_user: Callable[[FlaskClient, str], User]) -> Team:
    developer = make_user(client, "dev@example.org")
    made = user.make("/api/v1/teams", name="core")
    user.make(f"/api/v1/teams/{made['id']}/members", email="dev@example.org", role="developer")
    project = user.make("/api/v1/projects", name="web", team_id=made["id"])
    environment = user.make(
        "/api/v1/environments", name="api", image=IMAGE, project_id=project["id"]
    )
    return Team(made["id"], user, developer, environment["id"])
