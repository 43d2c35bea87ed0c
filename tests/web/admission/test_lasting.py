"""Every route that lasts ends with the login that opened it, and says why.

Which routes last is read from the document: one that is added fails here until it is opened below.
"""

import ast
import base64
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flask_openapi3 import OpenAPI
from werkzeug.test import TestResponse

from app.core.errors import StorageUnavailableError
from app.domain.authorization import Access, Action, Identity
from app.storage import (
    Database,
    EnvironmentSession,
    SessionStatus,
    SessionType,
    new_id,
)
from app.web.gunicorn_worker.served import ServedRequest
from tests.backends.programs import wait_until
from tests.support.application import User, parts
from tests.support.checks import assert_problem
from tests.support.fakes import FakeEngine
from tests.support.routes import operations
from tests.web.api.test_environments import one
from tests.web.websockets.support import Peer

APP = Path(__file__).parents[3] / "app"
REMOTE = "remote:1"
_ONE = "/api/v1/environments/<environment_id>"
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(b"0123456789abcdef").decode(),
    "Sec-WebSocket-Protocol": "vibebox.v1",
}


class Silent:
    """The terminal of a shell that says nothing."""

    exec_id = "1"
    pid = None

    def __init__(self) -> None:
        self._ours, self._its = socket.socketpair()

    def fileno(self) -> int:
        return self._ours.fileno()

    def read(self) -> bytes | None:
        return None

    def write(self, data: bytes) -> int:
        return len(data)

    def close(self) -> None:
        self._ours.close()
        self._its.close()


class Opened:
    """Something that lasts, in a thread as a worker would serve it."""

    def __init__(self, serve: Callable[[], TestResponse]) -> None:
        self._serve = serve
        self._response: TestResponse | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self._response = self._serve()

    @property
    def lasts(self) -> bool:
        return self._thread.is_alive()

    def response(self) -> TestResponse:
        """Wait for the end, which must come in time, and return the whole answer."""
        self._thread.join(5)
        assert not self.lasts and self._response is not None
        return self._response


class World:
    """A user, and two environments: one runs, the start of the other waits for its image."""

    def __init__(self, app: OpenAPI, user: User, engine: FakeEngine) -> None:
        engine.registry.add(REMOTE)
        # Each method is wrapped when the application is made.
        parts(app).engine.terminal = lambda *_, **__: Silent()  # type: ignore[method-assign]
        parts(app).sockets.start()
        self.app = app
        self.user = user
        self.waiting = user.new_environment("waiting", image=REMOTE)
        self.running = user.new_environment("running")
        assert user.post(one(self.running, "start")).status_code == 200
        self._ends: list[socket.socket] = []

    def ask(self, method: str, path: str, peer: socket.socket | None = None) -> Opened:
        headers = {**self.user.headers, **(HANDSHAKE if peer is not None else {})}
        client = self.app.test_client()
        environ: Any = {"gunicorn.socket": peer}
        return Opened(
            lambda: client.open(path, method=method, headers=headers, environ_overrides=environ)
        )

    def socket(self, path: str) -> tuple[Opened, Peer]:
        ours, theirs = socket.socketpair()
        self._ends += [ours, theirs]
        return self.ask("GET", path, ours), Peer(theirs)

    def shell(self) -> str:
        made = EnvironmentSession(
            id=new_id(),
            environment_id=self.running,
            type=SessionType.SHELL,
            status=SessionStatus.STARTING,
            container_id=f"vibebox-{self.running}",
            name="vibebox-1",
        )
        with parts(self.app).database.writing() as session:
            session.add(made)
        return f"/api/v1/sessions/{made.id}/terminal"

    def held(self) -> int:
        """Return how many accesses are watched."""
        watched = parts(self.app).admission._hub._watched
        return sum(len(one.views) for one in watched.values())

    def until_held(self, number: int = 1) -> None:
        wait_until(lambda: self.held() == number, 5)

    def close(self) -> None:
        parts(self.app).sockets.close_all()
        for end in self._ends:
            end.close()


@pytest.fixture
def world(app: OpenAPI, user: User, engine: FakeEngine) -> Iterator[World]:
    world = World(app, user, engine)
    yield world
    world.close()


Ending = Callable[[], tuple[int, str]]
"""Waits for the end, and returns code and reason."""


def _socket(world: World, path: str) -> Ending:
    opened, peer = world.socket(path)

    def end() -> tuple[int, str]:
        peer.read(lambda: peer.close is not None)
        assert opened.response().status_code == 101
        assert peer.close is not None
        return peer.close

    return end


def _events(world: World) -> Ending:
    opened = world.ask("GET", one(world.running, "events") + "?follow=true")

    def end() -> tuple[int, str]:
        last = opened.response().get_data(as_text=True).strip().split("\n\n")[-1]
        assert last.startswith("event: end\ndata: ")
        told = json.loads(last.removeprefix("event: end\ndata: "))
        return told["code"], told["reason"]

    return end


def _wait(world: World) -> Ending:
    opened = world.ask("POST", one(world.waiting, "start") + "?wait=60")

    def end() -> tuple[int, str]:
        response = opened.response()
        assert response.headers["WWW-Authenticate"] == "Bearer"
        return 4401, assert_problem(response, 401, "invalid-token")["detail"]

    return end


LASTING: dict[tuple[str, str], Callable[[World], Ending]] = {
    ("GET", "/api/v1/sessions/<session_id>/terminal"): lambda world: _socket(world, world.shell()),
    ("GET", f"{_ONE}/logs/stream"): lambda world: _socket(world, one(world.running, "logs/stream")),
    ("GET", f"{_ONE}/status/stream"): lambda world: _socket(
        world, one(world.running, "status/stream")
    ),
    ("GET", "/api/v1/environments/status/stream"): lambda world: _socket(
        world, "/api/v1/environments/status/stream"
    ),
    ("GET", f"{_ONE}/events"): _events,
    ("POST", f"{_ONE}/start"): _wait,
}


def documented(app: OpenAPI) -> set[tuple[str, str]]:
    """Return method and rule of what becomes a WebSocket, streams, or may be asked to wait."""
    found = set()
    for method, rule, operation in operations(app):
        content = operation["responses"].get("200", {}).get("content", {})
        names = {parameter["name"] for parameter in operation.get("parameters", ())}
        if "101" in operation["responses"] or "text/event-stream" in content or "wait" in names:
            found.add((method, rule.rule))
    return found


def test_all_that_last_are_below(app: OpenAPI) -> None:
    assert documented(app) == set(LASTING)


@pytest.mark.parametrize("route", LASTING, ids=" ".join)
def test_ends_with_its_login(world: World, route: tuple[str, str]) -> None:
    end = LASTING[route](world)
    world.until_held()

    assert world.user.post("/api/v1/auth/logout").status_code == 204

    code, reason = end()
    assert code == 4401 and "logged out" in reason
    world.until_held(0)


@pytest.mark.parametrize("route", LASTING, ids=" ".join)
def test_outlives_its_tokens_and_a_database_that_is_away(
    world: World, route: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    end = LASTING[route](world)
    world.until_held()
    refresh = {"refresh_token": world.user.tokens["refresh_token"]}
    world.user.tokens = world.user.post("/api/v1/auth/refresh", json=refresh).get_json()
    away = threading.Event()
    read = Database.reading

    def reading(database: Database) -> Any:
        away.set()
        if looks_fail.is_set():
            raise StorageUnavailableError
        return read(database)

    looks_fail = threading.Event()
    monkeypatch.setattr(Database, "reading", reading)
    looks_fail.set()
    away.clear()
    for _ in range(5):
        assert away.wait(5)
        away.clear()
    assert world.held() == 1
    looks_fail.clear()

    assert world.user.post("/api/v1/auth/logout").status_code == 204

    assert end()[0] == 4401


class Dripping:
    """A body of which nothing more comes: its reader waits as a thread of the worker does."""

    def __init__(self) -> None:
        self.request = ServedRequest(time.perf_counter())
        self.request.large = True

    def read(self, _size: int = -1) -> bytes:
        for _ in range(500):
            assert self.request.check is not None
            self.request.check(1000)
            time.sleep(0.01)
        return b""


def test_upload_ends_with_its_login_while_its_body_comes(world: World) -> None:
    dripping = Dripping()
    headers = {**world.user.headers, "Content-Type": "application/octet-stream"}
    client = world.app.test_client()
    environ: Any = {
        "gunicorn.socket": dripping,
        "wsgi.input": dripping,
        "CONTENT_LENGTH": "30000000",
    }
    path = one(world.running, "extensions/upload")
    opened = Opened(lambda: client.post(path, headers=headers, environ_overrides=environ))
    world.until_held()

    assert world.user.post("/api/v1/auth/logout").status_code == 204

    assert "logged out" in assert_problem(opened.response(), 401, "invalid-token")["detail"]
    world.until_held(0)
    assert not parts(world.app).admission._uploads


def test_body_that_is_here_takes_no_place_of_those_that_are_awaited(world: World) -> None:
    dripping, access = Dripping(), Action.EXTENSION_CHANGE
    dripping.request.large = False
    path = one(world.running, "extensions/upload")
    with ExitStack() as stack:
        for name in "ab":
            other = Access(Identity(name, name), access, world.running)
            stack.enter_context(parts(world.app).admission.upload(other))
        answer = world.app.test_client().post(
            path,
            data=b"none",
            headers={**world.user.headers, "Content-Type": "application/octet-stream"},
            environ_overrides={"gunicorn.socket": dripping},
        )
        assert_problem(answer, 422, "invalid-input")


def test_only_admission_makes_what_is_held() -> None:
    """So that nobody has something that lasts without a place and a watch."""
    found = {
        str(file.relative_to(APP))
        for file in APP.rglob("*.py")
        if "from app.web.admission." in (text := file.read_text()) or "app.core.places" in text
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("Held", "Place", "take_all")
    }
    assert found == {"web/admission/admission.py"}
