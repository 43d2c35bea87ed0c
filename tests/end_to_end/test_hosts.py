"""Host names as they come over the wire: only known ones reach an account or a browser's page."""

import base64
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.backends.web import WebServer
from tests.end_to_end.api import Api

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]
EVIL = "evil.example"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with WebServer(tmp_path_factory.mktemp("hosts"), workers=1) as server:
        yield server


def answer(server: WebServer, *lines: str, body: str = "") -> int:
    """Send a request as it is and return the status of its answer."""
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=20)) as peer:
        peer.sendall("\r\n".join([*lines, "", body]).encode())
        return int(peer.makefile("rb").readline().split()[1])


def test_environment_can_not_have_the_port_of_the_service(server: WebServer) -> None:
    with Api(server.url) as api:
        assert api.register("ada@example.org").status_code == 201
        api.login("ada@example.org")
        for number in (server.port, 9090):
            ports = [{"container_port": 80, "host_port": number}]
            refused = api.call(
                "POST", "/environments", {"name": "web", "image": "busybox:1", "ports": ports}
            )
            assert refused.status_code == 422
            assert refused.json()["errors"][0]["field"] == "ports.0.host_port"


def test_rebound_page_can_not_register(server: WebServer) -> None:
    body = '{"email": "eve@example.org", "password": "correct horse battery"}'
    head = (
        "POST /api/v1/auth/register HTTP/1.1",
        f"Origin: http://{EVIL}:{server.port}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    assert answer(server, *head, f"Host: {EVIL}:{server.port}", body=body) == 421
    assert answer(server, *head, f"Host: localhost:{server.port}", body=body) != 421


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("GET /api/v1/templates HTTP/1.0",), 401),
        (("GET /api/v1/templates HTTP/1.1", "Host: LOCALHOST."), 401),
        (("GET /api/v1/templates HTTP/1.1", "Host: [::1]:3000"), 401),
        (("GET /api/v1/templates HTTP/1.1", f"Host: {EVIL}"), 421),
        (("GET /api/v1/templates HTTP/1.1", "Host: "), 421),
        (("GET /api/v1/templates HTTP/1.1", "Host: localhost/@evil.example"), 421),
        (("GET /api/v1/templates HTTP/1.1", f"Host: {EVIL}", "X-Forwarded-Host: localhost"), 421),
        (("GET /api/v1/templates HTTP/1.1", f"Host: {EVIL}", "Host: localhost"), 400),
        (("GET /api/v1/templates HTTP/1.1", "Host: localhost", f"Host: {EVIL}"), 400),
        ((f"GET http://{EVIL}/api/v1/templates HTTP/1.1", "Host: localhost"), 421),
        (("GET http://localhost/api/v1/templates HTTP/1.1", f"Host: {EVIL}"), 421),
        (("GET http://localhost/api/v1/templates HTTP/1.1", "Host: localhost"), 401),
        (("OPTIONS * HTTP/1.1", f"Host: {EVIL}"), 421),
        (("GET /health/live HTTP/1.1", f"Host: {EVIL}"), 200),
        (("GET /health/live HTTP/1.1", "Host: @@"), 200),
        (("GET http://backend:3000/health/live HTTP/1.1", "Host: backend:3000"), 200),
        (("GET /health/metrics HTTP/1.1", f"Host: {EVIL}"), 403),
        (("GET /health/metrics HTTP/1.1", "Host: localhost"), 200),
    ],
)
def test_who_is_answered(server: WebServer, lines: tuple[str, ...], status: int) -> None:
    assert answer(server, *lines) == status


@pytest.mark.parametrize("path", ["/api/v1/environments/status/stream", "/api/v1/nothing"])
def test_rebound_page_can_not_open_a_websocket(server: WebServer, path: str) -> None:
    key = base64.b64encode(b"0123456789abcdef").decode()
    status = answer(
        server,
        f"GET {path} HTTP/1.1",
        f"Host: {EVIL}:{server.port}",
        f"Origin: http://{EVIL}:{server.port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
    )
    assert status == 421
