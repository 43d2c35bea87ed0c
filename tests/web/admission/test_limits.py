"""A number for whatever one account could fill for all, and that it holds."""

import itertools
import json
import time
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI

from app.core.errors import Limit, TooManyChangesError
from app.domain.authorization import Identity
from app.domain.environments.statuses import StatusRecords
from app.domain.fields import MAX_VARIABLES_BYTES
from app.domain.logs.service import MOST_CHARACTERS
from app.domain.quotas import row_limits
from app.storage import (
    Environment,
    EnvironmentSession,
    LogEntry,
    LogStream,
    SessionStatus,
    SessionType,
    SocketTicket,
    new_id,
    utc_now,
)
from app.web.admission.rates import Rate
from app.web.streams.status import MOST, _Statuses
from tests.support.application import MakeApp, User, parts
from tests.support.checks import assert_problem, moved
from tests.web.api.test_environments import one

REFUSALS = "vibebox_limit_refusals_total"


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of each; what they are in truth is below."""
    for limit in row_limits.MOST:
        monkeypatch.setitem(row_limits.MOST, limit, 3)


def test_numbers() -> None:
    most = {Limit(limit) for limit in row_limits.MOST}
    assert most == {
        Limit.API_KEYS,
        Limit.PROJECTS,
        Limit.MEMBERS,
        Limit.SESSIONS,
        Limit.EXTENSIONS,
        Limit.TICKETS,
    }


def refused(user: User, limit: Limit, path: str, body: Any) -> dict[str, Any]:
    with moved(REFUSALS) as refusals:
        problem = assert_problem(user.post(path, json=body), 409, "limit-reached")
    assert refusals == {(limit,): 1}
    assert "There are 3" in problem["detail"]
    return problem


def test_api_keys(user: User, stranger: User) -> None:
    def key(number: int) -> dict[str, Any]:
        return {"name": f"ci-{number}", "scopes": ["read"]}

    ids = [user.make("/api/v1/api-keys", **key(number))["id"] for number in range(3)]
    refused(user, Limit.API_KEYS, "/api/v1/api-keys", key(3))
    stranger.make("/api/v1/api-keys", **key(3))
    assert user.send("DELETE", f"/api/v1/api-keys/{ids[0]}").status_code == 204
    user.make("/api/v1/api-keys", **key(3))


def test_projects_of_an_account_and_of_a_team(user: User) -> None:
    team = user.make("/api/v1/teams", name="core")["id"]
    for owner in ({}, {"team_id": team}):
        for number in range(3):
            user.make("/api/v1/projects", name=f"p{number}", **owner)
        refused(user, Limit.PROJECTS, "/api/v1/projects", {"name": "p3", **owner})


def test_members(
    user: User, client: FlaskClient, make_user: Callable[[FlaskClient, str], User]
) -> None:
    team = user.make("/api/v1/teams", name="core")["id"]
    path = f"/api/v1/teams/{team}/members"
    for number in range(2):
        make_user(client, f"m{number}@example.org")
        user.make(path, email=f"m{number}@example.org", role="viewer")
    last = make_user(client, "m2@example.org")
    refused(user, Limit.MEMBERS, path, {"email": "m2@example.org", "role": "viewer"})
    assert_problem(user.put(f"{path}/{last.id}", json={"role": "viewer"}), 409, "limit-reached")


def test_sessions_that_have_not_ended(app: OpenAPI, user: User) -> None:
    id = user.new_environment()
    assert user.post(one(id, "start")).status_code == 200
    with parts(app).database.writing() as session:
        for number in range(6):
            session.add(
                EnvironmentSession(
                    id=new_id(),
                    environment_id=id,
                    type=SessionType.SHELL,
                    status=SessionStatus.TERMINATED if number < 3 else SessionStatus.ACTIVE,
                    container_id="x",
                    name=f"s{number}",
                )
            )
    refused(user, Limit.SESSIONS, one(id, "sessions"), {"type": "shell"})


def test_extensions(user: User) -> None:
    id = user.new_environment()
    path = one(id, "extensions")
    for number in range(3):
        assert user.post(path, json={"id": f"a.b{number}"}).status_code == 202
    refused(user, Limit.EXTENSIONS, path, {"id": "a.b3"})
    assert user.post(path, json={"id": "a.b0"}).status_code == 202, "again what is there"


def test_tickets(app: OpenAPI, user: User) -> None:
    for _ in range(3):
        user.post("/api/v1/ws-tickets")
    refused(user, Limit.TICKETS, "/api/v1/ws-tickets", None)
    with parts(app).database.writing() as session:
        for ticket in session.query(SocketTicket):
            ticket.expires_at = utc_now() - timedelta(seconds=1)
    assert user.post("/api/v1/ws-tickets").status_code == 201


def package(name: str, size: int) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        manifest = {"publisher": "a", "name": name, "version": "1.0.0"}
        archive.writestr("extension/package.json", json.dumps(manifest))
        archive.writestr("extension/x", b"x" * size)
    return buffer.getvalue()


def test_packages_together(
    make_app: MakeApp,
    make_user: Callable[[FlaskClient, str], User],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(row_limits.MOST, Limit.EXTENSIONS, 100)
    app = make_app(extension_limit_mb=1)
    user = make_user(app.test_client(), "ada@example.org")
    environments = [user.new_environment(f"e{number}") for number in range(5)]

    def upload(id: str, number: int) -> Any:
        return user.post(
            one(id, "extensions/upload"),
            data=package(f"n{number}", 1_040_000),
            content_type="application/octet-stream",
        )

    for id in environments[:4]:
        for number in range(8):
            assert upload(id, number).status_code == 202
        assert upload(id, 0).status_code == 202, "in place of the one there is"
        problem = assert_problem(upload(id, 8), 409, "limit-reached")
        assert "8 MiB of uploaded extensions, as many as an environment" in problem["detail"]
    problem = assert_problem(upload(environments[4], 0), 409, "limit-reached")
    assert "32 MiB of uploaded extensions, as many as an account" in problem["detail"]


def test_uploads_at_once(app: OpenAPI, user: User, stranger: User) -> None:
    from app.domain.authorization import Access, Action
    from app.web.admission.admission import Kind

    id = user.new_environment()
    access = Access(Identity(user.id, user.email), Action.EXTENSION_CHANGE, id)

    def upload() -> Any:
        return user.post(
            one(id, "extensions/upload"),
            data=package("x", 10),
            content_type="application/octet-stream",
        )

    with parts(app).admission.open(Kind.UPLOAD, access):
        assert_problem(upload(), 429, "too-many-requests")
    others = [Access(Identity(name, name), Action.EXTENSION_CHANGE, id) for name in ("x", "y")]
    held = [parts(app).admission.open(Kind.UPLOAD, one) for one in others]
    assert_problem(upload(), 503, "server-busy")
    for one_held in held:
        one_held.close()
    assert upload().status_code == 202


def test_a_slow_upload_gives_way_to_who_has_none(
    app: OpenAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.core.errors import TooManyUploadsError
    from app.domain.authorization import Access, Action
    from app.web.admission.watch import AccessLooks
    from app.web.websockets.polling_hub import Observation

    # The accounts are made up: a look at them, each second, would end what they hold.
    monkeypatch.setattr(AccessLooks, "look", lambda looks, whos: Observation(True, {}))

    def access(name: str) -> Access:
        return Access(Identity(name, name), Action.EXTENSION_CHANGE, "e")

    admission = parts(app).admission
    with ExitStack() as stack:
        slow, fast = (stack.enter_context(admission.upload(access(name))) for name in "ab")
        slow.came(1000)
        fast.came(10**9)
        with pytest.raises(TooManyUploadsError), admission.upload(access("c")):
            pass  # both have just begun
        for each in (slow, fast):
            each._since -= 10
        for name in "ab":
            with pytest.raises(TooManyUploadsError), admission.upload(access(name)):
                pass  # who has one gets no other
        with admission.upload(access("c")) as other:
            with pytest.raises(TooManyUploadsError):
                slow.came(1001)
            fast.check()
            other._since -= 10
            other.arrived()  # what is done with it now may take its time
            with pytest.raises(TooManyUploadsError), admission.upload(access("a")):
                pass  # nobody is slow
        with pytest.raises(TooManyUploadsError), admission.upload(access("a")):
            pass  # who was slow does not get the last place at once
        with admission.upload(access("d")):
            pass  # others do
        admission._slow_until["a"] -= 60
        with admission.upload(access("a")):
            pass  # and so does he, later


def test_variables_together(make_app: MakeApp, make_user: Any) -> None:
    from app.domain.secrets.values import new_key

    app = make_app(secret_keys=new_key())
    user = make_user(app.test_client(), "ada@example.org")
    large = {f"N{number}": "x" * 8000 for number in range(MAX_VARIABLES_BYTES // 8000)}
    id = user.new_environment(env=large, secrets=large and {"S": "x"})
    beyond = large | {"MORE": "é" * 1000}
    for method, path in (("POST", "/api/v1/environments"), ("PATCH", one(id))):
        named = {"name": "y", "image": "busybox:1"} if method == "POST" else {}
        answer = user.send(method, path, json={**named, "env": beyond})
        (error,) = assert_problem(answer, 422, "invalid-input")["errors"]
        assert error == {"field": "env", "message": "Enter at most 64 KiB in all."}
        secrets = {f"S{number}": "x" * 8000 for number in range(14)}
        answer = user.send(method, path, json={**named, "secrets": secrets})
        (error,) = assert_problem(answer, 422, "invalid-input")["errors"]
        assert error == {"field": "secrets", "message": "Enter at most 64 KiB in all."}


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_page_of_a_log_has_a_size(app: OpenAPI, user: User, order: str) -> None:
    """A thousand lines of 64 KiB were 64 MiB in one answer, and more in memory."""
    id, line, number = user.new_environment(), "x" * 65536, 150
    with parts(app).database.writing() as session:
        session.add_all(
            LogEntry(environment_id=id, at_ns=at, stream=LogStream.STDOUT, line=line, size=1)
            for at in range(number)
        )
    seen: list[str] = []
    cursor, pages = "", 0
    while True:
        page = user.get(one(id, f"logs?limit=1000&order={order}{cursor}")).get_json()
        assert sum(len(item["line"]) for item in page["items"]) <= MOST_CHARACTERS
        seen += [item["id"] for item in page["items"]]
        pages += 1
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert pages == 3
    assert seen == sorted(seen, key=int, reverse=order == "desc") and len(set(seen)) == number


def test_page_of_a_log_holds_what_is_asked_for(app: OpenAPI, user: User) -> None:
    id = user.new_environment()
    with parts(app).database.writing() as session:
        session.add_all(
            LogEntry(environment_id=id, at_ns=at, stream=LogStream.STDOUT, line=str(at), size=1)
            for at in range(1000)
        )
    for limit, more in itertools.product((1, 127, 128, 129, 257, 999), [True]):
        page = user.get(one(id, f"logs?limit={limit}")).get_json()
        assert [item["line"] for item in page["items"]] == [str(at) for at in range(limit)]
        assert (page["next_cursor"] is not None) is more
    assert user.get(one(id, "logs?limit=1000")).get_json()["next_cursor"] is None


def test_list_of_very_many_is_looked_at_soon(app: OpenAPI, user: User) -> None:
    first = user.new_environment()
    database = parts(app).database
    with database.writing() as session:
        template = session.get_one(Environment, first)
        session.add_all(
            Environment(
                id=new_id(),
                project_id=template.project_id,
                name=f"e{number}",
                image="x",
                cpu_limit=1,
                memory_limit_mb=16,
            )
            for number in range(2 * MOST)
        )
    identity = parts(app).accounts.authenticate(user.tokens["access_token"])
    begun = time.process_time()
    seen = _Statuses(StatusRecords(database), identity).look([identity]).value
    assert len(seen) == MOST and first not in seen
    assert time.process_time() - begun < 0.2


def test_changes(make_app: MakeApp, make_user: Any) -> None:
    app = make_app(rate_limit_changes="3 per minute")
    client = app.test_client()
    user, other = make_user(client, "ada@example.org"), make_user(client, "eve@example.org")
    for number in range(3):
        user.make("/api/v1/projects", name=f"p{number}")
    with moved(REFUSALS) as refusals:
        answer = user.post("/api/v1/projects", json={"name": "p3"})
    assert_problem(answer, 429, "too-many-changes")
    assert 18 <= int(answer.headers["Retry-After"]) <= 21
    assert refusals == {("changes",): 1}
    assert user.get("/api/v1/projects").status_code == 200
    other.make("/api/v1/projects", name="p")


def test_rate_fills_as_time_goes_by() -> None:
    now = 100.0
    rate = Rate(5, 10, clock=lambda: now)

    def got(owner: str = "a") -> int:
        for number in range(100):
            try:
                rate.count(owner)
            except TooManyChangesError as error:
                assert error.retry_after is not None and error.retry_after <= 3
                return number
        return 100

    assert (got(), got(), got("b")) == (5, 0, 5)
    now += 1.9
    assert got() == 0
    now += 0.2
    assert (got(), got()) == (1, 0)
    now += 1000
    assert got() == 5


def test_rate_remembers_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.admission.rates._MOST_OWNERS", 10)
    now = 0.0
    rate = Rate(1, 1, clock=lambda: now)
    for number in range(1000):
        now += 0.5
        rate.count(str(number))
        assert len(rate._full_at) <= 11
