"""A credential's end is the end of what it opened: each way to end it, each thing that lasts.

Two workers and a real Docker Engine; who revokes asks whichever worker answers. In full every way
is gone a hundred times.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from sqlalchemy import select, update
from websockets.exceptions import ConnectionClosed

from app.domain.accounts.logins import end_login
from app.storage import (
    ApiKey,
    Database,
    EndReason,
    ImagePull,
    Login,
    User,
    utc_now,
)
from tests.backends.docker_engine import DockerEngine
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import wait_until
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory
from tests.end_to_end.api import Api
from tests.end_to_end.sockets import Screen, opened
from tests.sizes import size

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(size(300, 1800))]

ROUNDS = size(1, 100)
"""How often each way is gone."""

AT_ONCE = size(9, 6)
PROMISED = 5.0
"""Seconds within which all that was opened has ended."""

ABSENT = "127.0.0.1:1/nosuch:1"
"""Whoever starts an environment of it waits for an agent that is not there."""

ENDED, REFUSED = 4401, 1008
CODES = {401: ENDED, 403: REFUSED, 404: REFUSED}
ENDS = {ENDED: {401}, REFUSED: {403, 404}}
KINDS = ("terminal", "logs", "status", "events", "wait")
_names = count()


class World:
    """A team: its admin, an environment that runs, and what changes the database behind the API."""

    def __init__(self, server: WebServer, image: str) -> None:
        self.url = server.url
        self.database = Database(server.env["DATABASE_URL"])
        self.admin = Api(server.url)
        self.admin.register("admin@example.org")
        assert self.admin.login("admin@example.org").ok
        self.team = self.made("/teams", name="core")["id"]
        self.project = self.made("/projects", name="web", team_id=self.team)["id"]
        self.environment = self.made(
            "/environments", name="box", image=image, project_id=self.project
        )["id"]
        assert self.admin.act(self.environment, "start").ok

    def made(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self.admin.call("POST", path, body)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def close(self) -> None:
        self.admin.__exit__()
        self.database.dispose()


class Person:
    """A developer of the team, with a login of their own or an API key."""

    def __init__(self, world: World, by_key: bool = False) -> None:
        name = f"d{next(_names)}@example.org"
        self.world = world
        self.login = Api(world.url)
        self.login.register(name)
        assert self.login.login(name).ok
        self.email = name
        self.id = self.login.call("GET", "/auth/me").json()["id"]
        world.made(f"/teams/{world.team}/members", email=name, role="developer")
        self.api, self.key = self.login, ""
        if by_key:
            body = {"name": "ci", "scopes": ["read", "write", "execute"]}
            made = self.login.call("POST", "/api-keys", body).json()
            self.key, self.api = made["id"], Api(world.url)
            self.api.tokens = {"access_token": made["key"]}
        self.waiting = self.create(ABSENT)

    def create(self, image: str) -> str:
        fields = {"project_id": self.world.project, "cpu_limit": 0.1, "memory_limit_mb": 32}
        return self.login.create(f"w-{self.id[:8]}", image, **fields)

    def renew(self) -> None:
        """Trade the tokens of the login for the next ones."""
        token = {"refresh_token": self.login.tokens["refresh_token"]}
        answer = self.login.call("POST", "/auth/refresh", token)
        assert answer.ok, answer.text
        self.login.tokens = answer.json()

    def leave(self) -> None:
        """Leave the team, which may have 500 members."""
        path = f"/teams/{self.world.team}/members/{self.id}"
        assert self.world.admin.call("DELETE", path).status_code in (204, 404)

    def close(self) -> None:
        for api in {self.login, self.api}:
            api.__exit__()


class Lasting:
    """What a person has open: each in a thread, which notes when and how it ended."""

    def __init__(self, person: Person, stack: ExitStack) -> None:
        self.person = person
        self.ended: dict[str, tuple[float, int, str]] = {}
        self._open: set[str] = set()
        box = person.world.environment
        person.renew()
        made = person.api.call("POST", f"/environments/{box}/sessions", {"type": "shell"})
        assert made.status_code == 201, made.text
        paths = {
            "terminal": f"/sessions/{made.json()['id']}/terminal",
            "logs": f"/environments/{box}/logs/stream",
            "status": f"/environments/{box}/status/stream",
        }
        self.sockets = {
            kind: stack.enter_context(opened(person.api, path)) for kind, path in paths.items()
        }
        self.screen = Screen(self.sockets["terminal"])
        self.screen.type("echo op''en\n")
        self.screen.wait("open")
        waits: dict[str, Callable[[], tuple[int, str]]] = {
            **{kind: partial(self._socket, kind) for kind in paths},
            "events": self._events,
            "wait": self._wait,
        }
        self.threads = {
            kind: threading.Thread(target=self._run, args=(kind, wait), daemon=True)
            for kind, wait in waits.items()
        }
        person.renew()
        for thread in self.threads.values():
            thread.start()
        wait_until(lambda: {"events"} <= self._open and self._is_waiting(), 20)
        time.sleep(0.5)  # until the request, which has queued its pull, waits for that

    def _is_waiting(self) -> bool:
        mine = ImagePull.environment_id == self.person.waiting
        with self.person.world.database.reading() as session:
            return session.scalar(select(ImagePull.id).where(mine)) is not None

    def _run(self, kind: str, wait: Callable[[], tuple[int, str]]) -> None:
        code, reason = wait()
        self.ended[kind] = time.monotonic(), code, reason

    def _socket(self, kind: str) -> tuple[int, str]:
        try:
            while True:
                self.sockets[kind].recv()
        except ConnectionClosed as error:
            if error.rcvd is None:
                return 1006, ""
            return error.rcvd.code, error.rcvd.reason

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.person.api.tokens['access_token']}"}

    def _events(self) -> tuple[int, str]:
        url = f"{self.person.api.url}/environments/{self.person.world.environment}/events"
        with requests.get(
            url, params={"follow": "true"}, headers=self._headers(), stream=True, timeout=600
        ) as answer:
            assert answer.status_code == 200, answer.text
            self._open.add("events")
            name, told = "", {}
            for line in answer.iter_lines(decode_unicode=True):
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    told = json.loads(line.removeprefix("data: "))
        return (told["code"], told["reason"]) if name == "end" else (1006, "")

    def _wait(self) -> tuple[int, str]:
        url = f"{self.person.api.url}/environments/{self.person.waiting}/start?wait=60"
        answer = requests.post(url, headers=self._headers(), timeout=120)
        return CODES.get(answer.status_code, answer.status_code), answer.text

    def close(self) -> None:
        """End whatever goes on, as its owner does."""
        if self.person.key:
            self.person.login.call("DELETE", f"/api-keys/{self.person.key}")
        self.person.login.call("POST", "/auth/logout")
        for thread in self.threads.values():
            thread.join(3 * PROMISED)
            assert not thread.is_alive()

    def after(self, revoke: Callable[[], Any], kinds: tuple[str, ...]) -> dict[str, float]:
        """Revoke, and return after how many seconds each of the kinds had ended."""
        revoke()
        begun = time.monotonic()
        for kind in kinds:
            self.threads[kind].join(max(0.0, begun + 3 * PROMISED - time.monotonic()))
        return {
            kind: self.ended[kind][0] - begun if kind in self.ended else float("inf")
            for kind in kinds
        }


Start = Callable[..., WebServer]


@pytest.fixture(params=size(["sqlite"], ["sqlite", "postgresql"]))
def start(
    web_server: WebServerFactory, docker_engine: DockerEngine, request: pytest.FixtureRequest
) -> Iterator[Start]:
    """Starts the server, with settings."""
    env = {
        "DOCKER_HOST": docker_engine.host,
        "VIBEBOX_STOP_GRACE": "0",
        "VIBEBOX_SESSIONS_ON_START": "false",
    }
    if request.param == "postgresql":
        postgresql: PostgreSQL = request.getfixturevalue("postgresql")
        env["DATABASE_URL"] = postgresql.new_database()
    yield lambda **settings: web_server({**env, **settings}, workers=2, threads=60)
    docker_engine.clear()


def _ok(answer: requests.Response) -> None:
    assert answer.ok, answer.text


def logout(person: Person) -> None:
    _ok(person.login.call("POST", "/auth/logout"))


def reuse(person: Person) -> None:
    old = {"refresh_token": person.login.tokens["refresh_token"]}
    _ok(person.login.call("POST", "/auth/refresh", old))
    assert person.login.call("POST", "/auth/refresh", old).status_code == 401


def end_from_the_list(person: Person) -> None:
    _end(person, EndReason.ENDED)


def change_password(person: Person) -> None:
    _end(person, EndReason.PASSWORD)


def _end(person: Person, reason: EndReason) -> None:
    with person.world.database.writing() as session:
        for id in list(session.scalars(select(Login.id).where(Login.user_id == person.id))):
            end_login(session, id, reason)


def disable(person: Person) -> None:
    _change(person, disabled_at=utc_now())


def _change(person: Person, **values: Any) -> None:
    with person.world.database.writing() as session:
        session.execute(update(User).where(User.id == person.id).values(**values))


def delete_account(person: Person) -> None:
    with person.world.database.writing() as session:
        session.delete(session.get_one(User, person.id))


def revoke_key(person: Person) -> None:
    _ok(person.login.call("DELETE", f"/api-keys/{person.key}"))


def expire_key(person: Person) -> None:
    with person.world.database.writing() as session:
        row = update(ApiKey).where(ApiKey.id == person.key)
        session.execute(row.values(expires_at=utc_now() - timedelta(seconds=1)))


def take_scope(person: Person) -> None:
    with person.world.database.writing() as session:
        row = update(ApiKey).where(ApiKey.id == person.key)
        session.execute(row.values(scopes=["read"]))


def lower_role(person: Person) -> None:
    path = f"/teams/{person.world.team}/members/{person.id}"
    _ok(person.world.admin.call("PUT", path, {"role": "viewer"}))


def remove_member(person: Person) -> None:
    path = f"/teams/{person.world.team}/members/{person.id}"
    _ok(person.world.admin.call("DELETE", path))


_EXECUTES = ("terminal", "wait")
WAYS: dict[Callable[[Person], None], tuple[bool, int, tuple[str, ...]]] = {
    logout: (False, ENDED, KINDS),
    reuse: (False, ENDED, KINDS),
    end_from_the_list: (False, ENDED, KINDS),
    change_password: (False, ENDED, KINDS),
    disable: (False, ENDED, KINDS),
    delete_account: (False, ENDED, KINDS),
    revoke_key: (True, ENDED, KINDS),
    expire_key: (True, ENDED, KINDS),
    take_scope: (True, REFUSED, _EXECUTES),
    lower_role: (False, REFUSED, _EXECUTES),
    remove_member: (False, REFUSED, KINDS),
}
"""Way -> whether it is about an API key, the code it ends with, and what it ends."""


def test_each_way_ends_what_was_opened(start: Start, docker_engine: DockerEngine) -> None:
    world = World(start(), docker_engine.busybox)
    slowest: dict[str, float] = {}
    late: list[Any] = []

    def go(way: Callable[[Person], None]) -> None:
        by_key, code, kinds = WAYS[way]
        person = Person(world, by_key)
        try:
            with ExitStack() as stack:
                lasting = Lasting(person, stack)
                for kind, seconds in lasting.after(lambda: way(person), kinds).items():
                    told = f"{way.__name__}, {kind}"
                    slowest[told] = max(seconds, slowest.get(told, 0.0))
                    if seconds > PROMISED or lasting.ended[kind][1] != code:
                        late.append((told, seconds, lasting.ended.get(kind)))
                spared = set(KINDS) - set(kinds)
                assert not spared & set(lasting.ended), "others go on"
                lasting.close()
            person.leave()
        finally:
            person.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(go, [way for way in WAYS for _ in range(ROUNDS)]))
    world.close()
    print(f"{ROUNDS} rounds, {len(slowest)} pairs; slowest: {max(slowest.values()):.2f} s")
    for told, seconds in sorted(slowest.items()):
        print(f"  {told}: {seconds:.2f} s")
    assert late == []


def upload(person: Person) -> int:
    """Send a package bit by bit, which would take an hour; return with what status it ends."""
    where = urlsplit(f"{person.api.url}/environments/{person.world.environment}/extensions/upload")
    headers = {
        "Authorization": f"Bearer {person.api.tokens['access_token']}",
        "Host": where.netloc,
        "Content-Type": "application/octet-stream",
        "Content-Length": str(20 << 20),
    }
    lines = [f"POST {where.path} HTTP/1.1", *map(": ".join, headers.items()), "", ""]
    with socket.create_connection((where.hostname, where.port), timeout=10) as peer:
        peer.sendall("\r\n".join(lines).encode())
        peer.settimeout(0.2)
        while True:
            try:
                return int(peer.recv(65536).split()[1])
            except TimeoutError:
                peer.sendall(bytes(1500))


def test_each_way_ends_an_upload(
    start: Start, docker_engine: DockerEngine, subtests: pytest.Subtests
) -> None:
    world = World(start(), docker_engine.busybox)
    few: list[Callable[[Person], None]] = [logout, disable, revoke_key, lower_role]
    ways = size(few, list(WAYS) * 10)
    for way in ways:
        by_key, code, _ = WAYS[way]
        person = Person(world, by_key)
        with subtests.test(way.__name__), ThreadPoolExecutor(1) as pool:
            sent = pool.submit(upload, person)
            time.sleep(0.6)
            assert not sent.done()
            way(person)
            assert sent.result(PROMISED) in ENDS[code]
        person.close()
    world.close()


RENEWALS = size(20, 100)


def test_tokens_that_run_out_and_are_renewed_end_nothing(
    start: Start, docker_engine: DockerEngine
) -> None:
    world = World(start(VIBEBOX_ACCESS_TOKEN_TTL="3"), docker_engine.busybox)
    person = Person(world)
    try:
        with ExitStack() as stack:
            lasting = Lasting(person, stack)
            first = person.login.tokens["access_token"]
            for _ in range(RENEWALS):
                person.renew()
                time.sleep(0.1)
            gone = partial(person.login.call, "GET", "/auth/me", token=first)
            wait_until(lambda: gone().status_code == 401, 20)
            person.renew()
            assert lasting.ended == {}
            lasting.sockets["terminal"].send(b"exit 7\n")
            lasting.threads["terminal"].join(10)
            assert lasting.ended["terminal"][1:] == (1000, "exit code 7")
            lasting.close()
    finally:
        person.close()
        world.close()
    print(f"{RENEWALS} renewals")
