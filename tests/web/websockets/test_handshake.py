"""What opens a WebSocket and what does not: tickets, origins, the handshake itself, slots."""

import base64
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from app.domain.authorization import Access, Action, Identity
from app.storage import SocketTicket, utc_now
from app.web.admission.admission import long_requests
from tests.support.application import Client, MakeApp, User, parts
from tests.support.checks import assert_problem, moved
from tests.web.websockets.support import Peer

AUTH = "vibebox_auth_attempts_total"
REQUESTS = "vibebox_http_requests_total"
RULE = "/api/v1/environments/<environment_id>/status/stream"


class Door:
    """Knocks at the status stream of an environment, over a socket as gunicorn would hand it."""

    def __init__(self, client: FlaskClient, user: User, environment: str) -> None:
        self.client = client
        self.user = user
        app: Any = client.application
        parts(app).sockets.start()
        self.path = f"/api/v1/environments/{environment}/status/stream"
        self.ours, self.theirs = socket.socketpair()

    def ticket(self) -> str:
        response = self.user.post("/api/v1/ws-tickets", json={})
        assert response.status_code == 201 and response.headers["Cache-Control"] == "no-store"
        assert response.json is not None and response.json["expires_in"] == 30
        return str(response.json["ticket"])

    def knock(
        self,
        ticket: str | None = None,
        headers: dict[str, str | None] | None = None,
        query: str = "",
    ) -> TestResponse:
        """Send a handshake; the WebSocket is closed as soon as it is open."""
        offered = "vibebox.v1" + (f", vibebox.ticket.{ticket}" if ticket else "")
        sent: dict[str, str | None] = {
            "Connection": "keep-alive, Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(b"0123456789abcdef").decode(),
            "Sec-WebSocket-Protocol": offered,
            **(headers or {}),
        }
        peer = Peer(self.theirs)
        peer.protocol.send_close()
        peer.flush()
        named = {name: value for name, value in sent.items() if value is not None}
        return self.client.get(
            self.path + query, headers=named, environ_overrides={"gunicorn.socket": self.ours}
        )


@pytest.fixture
def door(client: FlaskClient, user: User) -> Iterator[Door]:
    door = Door(client, user, user.new_environment())
    with door.ours, door.theirs:
        yield door


def test_ticket_as_subprotocol_opens(door: Door) -> None:
    ticket = door.ticket()
    with moved(AUTH) as attempts, moved(REQUESTS) as requests:
        response = door.knock(ticket)

    assert response.status_code == 101
    assert response.headers["Sec-WebSocket-Protocol"] == "vibebox.v1"
    assert response.headers["Upgrade"] == "websocket"
    assert response.headers["Sec-WebSocket-Accept"]
    assert "Sec-WebSocket-Extensions" not in response.headers
    assert attempts == {("websocket", "success"): 1}
    assert requests == {("GET", RULE, "101"): 1}


def test_ticket_in_the_query_opens(door: Door) -> None:
    response = door.knock(None, {"Sec-WebSocket-Protocol": None}, f"?ticket={door.ticket()}")

    assert response.status_code == 101
    assert "Sec-WebSocket-Protocol" not in response.headers


def test_program_may_send_its_token(door: Door) -> None:
    assert door.knock(None, {**door.user.headers}).status_code == 101


def test_access_token_is_no_ticket(door: Door) -> None:
    token = door.user.tokens["access_token"]

    assert_problem(door.knock(token), 401, "invalid-token")
    assert_problem(door.knock(query=f"?ticket={token}"), 401, "invalid-token")
    assert_problem(door.knock(query=f"?access_token={token}"), 401, "not-authenticated")


def test_ticket_works_once(door: Door) -> None:
    ticket = door.ticket()
    assert door.knock(ticket).status_code == 101
    with moved(AUTH) as attempts:
        assert_problem(door.knock(ticket), 401, "invalid-token")

    assert attempts == {("websocket", "failure"): 1}


def test_ticket_expires(app: OpenAPI, door: Door) -> None:
    ticket = door.ticket()
    with parts(app).database.writing() as session:
        session.execute(update(SocketTicket).values(expires_at=utc_now() - timedelta(seconds=1)))

    assert_problem(door.knock(ticket), 401, "invalid-token")
    door.ticket()  # the next one clears away what is over
    with parts(app).database.reading() as session:
        assert len(session.scalars(select(SocketTicket)).all()) == 1


def test_ticket_ends_with_its_login(door: Door) -> None:
    ticket = door.ticket()
    assert door.user.post("/api/v1/auth/logout").status_code == 204

    assert_problem(door.knock(ticket), 401, "invalid-token")


def test_ticket_has_the_scopes_of_its_key_and_ends_with_it(door: Door) -> None:
    made = door.user.make("/api/v1/api-keys", name="ci", scopes=["write"])
    key = User(door.client, door.user.email, {"access_token": made["key"]})
    first, second = (
        key.post("/api/v1/ws-tickets").get_json()["ticket"],
        key.post("/api/v1/ws-tickets").get_json()["ticket"],
    )
    assert_problem(door.knock(first), 403, "permission-denied")
    assert door.user.send("DELETE", f"/api/v1/api-keys/{made['id']}").status_code == 204

    assert_problem(door.knock(second), 401, "invalid-token")


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost", 101),
        ("http://localhost:80", 101),
        ("https://console.example.org", 101),
        ("https://console.example.org.evil.example", 403),
        ("http://localhost:8080", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("http://[", 403),
    ],
)
def test_origin(make_app: MakeApp, make_user: Any, origin: str, status: int) -> None:
    app = make_app(allowed_origins="https://console.example.org/, https://b.example")
    client = app.test_client()
    user = make_user(client, "ada@example.org")
    door = Door(client, user, user.new_environment())
    with door.ours, door.theirs:
        ticket = door.ticket()
        response = door.knock(ticket, {"Origin": origin})
        assert response.status_code == status
        if status == 403:
            assert_problem(response, 403, "origin-refused")
            assert door.knock(ticket).status_code == 101, "a foreign page uses nothing up"


@pytest.mark.parametrize(
    ("changes", "status", "slug"),
    [
        ({"Upgrade": None}, 426, "upgrade-required"),
        ({"Connection": "close"}, 426, "upgrade-required"),
        ({"Sec-WebSocket-Version": "8"}, 400, "handshake-invalid"),
        ({"Sec-WebSocket-Key": "short"}, 400, "handshake-invalid"),
        ({"Sec-WebSocket-Key": None}, 400, "handshake-invalid"),
    ],
)
def test_handshake_that_is_none_is_refused(
    door: Door, changes: dict[str, str | None], status: int, slug: str
) -> None:
    response = door.knock(door.ticket(), changes)

    assert_problem(response, status, slug)
    assert (response.headers.get("Upgrade") == "websocket") is (status == 426)


def test_server_without_sockets_says_so(client: FlaskClient, door: Door) -> None:
    assert_problem(door.user.get(door.path), 426, "upgrade-required")


def test_slots_come_back_and_too_many_are_refused(app: OpenAPI, door: Door) -> None:
    assert isinstance(door.client, Client)
    accesses = [
        Access(Identity(f"somebody-{number}", "bob@example.org"), Action.ENVIRONMENT_READ)
        for number in range(100)
    ]
    taken = [parts(app).sockets.admit(access) for access in accesses]
    response = door.knock(door.ticket())
    assert_problem(response, 503, "too-many-sockets")
    assert response.headers["Retry-After"]

    taken.pop().close()
    for _ in range(3):
        assert door.knock(door.ticket()).status_code == 101
    for one in taken:
        one.close()


@pytest.mark.parametrize(
    ("threads", "long"), [(1, 1), (2, 1), (4, 3), (8, 6), (9, 6), (32, 24), (256, 192)]
)
def test_a_quarter_of_the_threads_serves_the_rest(threads: int, long: int) -> None:
    assert long_requests(threads) == long
