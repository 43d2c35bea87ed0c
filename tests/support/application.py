"""The application of tests, as fixtures: fresh, on a SQLite file, with a Docker in memory."""

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI
from werkzeug.test import TestResponse

from app import create_app
from app.core.settings import Settings
from app.storage import Database, schema
from app.web.services import EXTENSION, Components
from tests.support import routing, statements
from tests.support.checks import PASSWORD
from tests.support.fakes import IMAGE, FakeEngine

routing.compile_once()
statements.compile_once()

MakeApp = Callable[..., OpenAPI]
UNLIMITED = "1000000 per minute"
"""Tests authenticate more often than anybody; those of the limits set their own."""


class Client(FlaskClient):
    """Reads and closes each response at once, as a server does; this ends the exchange."""

    def open(self, *arguments: Any, buffered: bool = True, **named: Any) -> TestResponse:
        return super().open(*arguments, buffered=buffered, **named)


@dataclass
class User:
    """A user that is logged in; its methods send requests in the user's name."""

    client: FlaskClient
    email: str
    tokens: dict[str, Any] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens['access_token']}"}

    @property
    def id(self) -> str:
        return cast(str, self.get("/api/v1/auth/me").json["id"])  # type: ignore[index]

    def send(self, method: str, path: str, **named: Any) -> TestResponse:
        return self.client.open(path, method=method, headers=self.headers, **named)

    def get(self, path: str, **named: Any) -> TestResponse:
        return self.send("GET", path, **named)

    def post(self, path: str, **named: Any) -> TestResponse:
        return self.send("POST", path, **named)

    def put(self, path: str, **named: Any) -> TestResponse:
        return self.send("PUT", path, **named)

    def make(self, path: str, **body: Any) -> dict[str, Any]:
        """Create something and return it."""
        response = self.post(path, json=body)
        assert response.status_code == 201, response.get_data(as_text=True)
        return cast(dict[str, Any], response.json)

    def new_environment(self, name: str = "api", **fields: Any) -> str:
        """Create an environment and return its id."""
        body = {"name": name, "image": IMAGE, **fields}
        response = self.post("/api/v1/environments", json=body)
        assert response.status_code == 201, response.get_data(as_text=True)
        return cast(str, response.json["id"])  # type: ignore[index]


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with the schema of this release, to copy."""
    file = tmp_path_factory.mktemp("template") / "vibebox.db"
    database = Database(f"sqlite:///{file}")
    schema.upgrade(database)
    database.dispose()
    return file


@pytest.fixture
def database_url(tmp_path: Path, migrated_file: Path) -> str:
    """The URL of a fresh database."""
    shutil.copy(migrated_file, tmp_path / "vibebox.db")
    return f"sqlite:///{tmp_path}/vibebox.db"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh database."""
    database = Database(database_url)
    yield database
    database.dispose()


@pytest.fixture
def engine() -> FakeEngine:
    """The Docker that the application sees."""
    return FakeEngine()


@pytest.fixture
def make_app(
    database_url: str, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeApp]:
    """A factory of applications; its arguments change settings."""
    monkeypatch.setattr("app.engine.DockerEngine", lambda *_, **__: engine)
    made: list[OpenAPI] = []

    def make(**changes: Any) -> OpenAPI:
        fields = {
            "database_url": database_url,
            "argon2_time_cost": 1,
            "argon2_memory_kib": 8,
            "rate_limit_account": UNLIMITED,
            "rate_limit_address": UNLIMITED,
            "rate_limit_changes": UNLIMITED,
            "quota_environments": 1000,
            "host_cpus": 10_000,
            "host_memory_mb": 100_000_000,
        }
        app = create_app(Settings(**{**fields, **changes}))
        app.test_client_class = Client
        made.append(app)
        return app

    before = set(threading.enumerate())
    yield make
    for app in made:
        parts(app).close()
    for thread in set(threading.enumerate()) - before:
        thread.join(5)


@pytest.fixture
def app(make_app: MakeApp) -> OpenAPI:
    return make_app()


@pytest.fixture
def client(app: OpenAPI) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def make_user() -> Callable[[FlaskClient, str], User]:
    """A function that registers an address with the application of a client, and logs in."""
    return sign_up


@pytest.fixture
def user(client: FlaskClient) -> User:
    return sign_up(client, "ada@example.org")


@pytest.fixture
def stranger(client: FlaskClient) -> User:
    """Somebody else."""
    return sign_up(client, "eve@example.org")


def sign_up(client: FlaskClient, email: str) -> User:
    credentials = {"email": email, "password": PASSWORD}
    assert client.post("/api/v1/auth/register", json=credentials).status_code == 201
    response = client.post("/api/v1/auth/login", json=credentials)
    return User(client, email, response.get_json())


def parts(app: OpenAPI) -> Components:
    """Return what the application is made of."""
    return cast(Components, app.extensions[EXTENSION])
