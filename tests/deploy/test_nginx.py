"""The example of a TLS proxy: the real nginx with the shipped file, before a real VibeBox."""

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from app.core.settings import Settings
from app.storage import Database, LogEntry, LogStream
from app.web.openapi import MAX_BODY_BYTES
from tests.backends.nginx import Nginx
from tests.backends.programs import wait_until
from tests.backends.web import WebServer
from tests.conftest import require
from tests.end_to_end.api import Api
from tests.end_to_end.counters import Since

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(180)]
CONFIG = (Path(__file__).parents[2] / "deploy" / "nginx" / "vibebox.conf").read_text()
NAME = "vibebox.example.org"
TOKEN = "a token for the scrape"
LIMIT = 5
THREADS = 4
ANSWERED, LOGS = "vibebox_http_requests_total", "/api/v1/environments/<environment_id>/logs"
PROBLEM = "application/problem+json"


class Site:
    """What a client on the other side of the proxy sees."""

    def __init__(self, server: WebServer, api: Api, nginx: Nginx) -> None:
        self.server = server
        self.api = api
        self.nginx = nginx
        self.host = f"{NAME}:{nginx.port}"

    def bearer(self) -> dict[str, str]:
        """Return the header with the token of the login."""
        return {"Authorization": f"Bearer {self.api.tokens['access_token']}"}

    def begin(self, target: str) -> ssl.SSLSocket:
        """Send a request over TLS and leave its answer unread."""
        trusted = ssl.create_default_context(cafile=str(self.nginx.certificate))
        plain = socket.create_connection(("127.0.0.1", self.nginx.port), timeout=20)
        secure = trusted.wrap_socket(plain, server_hostname=NAME)
        head = [f"GET {target} HTTP/1.1", f"Host: {self.host}"]
        head += [f"{name}: {value}" for name, value in self.bearer().items()]
        secure.sendall("\r\n".join([*head, "", ""]).encode())
        return secure

    def write_log(self, environment: str, lines: int, size: int) -> None:
        """Store log lines, as the agent does with what a container writes."""
        database = Database(self.server.env["DATABASE_URL"])
        rows = [
            LogEntry(
                environment_id=environment,
                stream=LogStream.STDOUT,
                at_ns=number,
                line="x" * size,
                size=size,
            )
            for number in range(lines)
        ]
        with database.writing() as session:
            session.add_all(rows)
        database.dispose()

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send one request over TLS, under the name of the site."""
        headers = {"Host": self.host, **options.pop("headers", {})}
        with requests.Session() as session:
            session.trust_env = False
            session.verify = str(self.nginx.certificate)
            url = f"https://127.0.0.1:{self.nginx.port}{path}"
            request = session.prepare_request(
                requests.Request(method, url, headers=headers, **options)
            )
            request.url = url  # as it stands, not normalised
            return session.send(request, timeout=30, allow_redirects=False)

    def open(self, path: str, ticket: str, origin: str) -> ClientConnection:
        """Open a WebSocket as a page of `origin` does."""
        trusted = ssl.create_default_context(cafile=str(self.nginx.certificate))
        protocols: Any = ["vibebox.v1", f"vibebox.ticket.{ticket}"]
        return connect(
            f"wss://{self.host}{path}",
            sock=socket.create_connection(("127.0.0.1", self.nginx.port), timeout=20),
            ssl=trusted,
            server_hostname=NAME,
            origin=Origin(origin),
            subprotocols=protocols,
            proxy=None,
            open_timeout=20,
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A VibeBox that trusts one proxy, and nginx before it."""
    require("nginx", Nginx.installed())
    env = {
        "VIBEBOX_TRUSTED_PROXIES": "1",
        "VIBEBOX_ALLOWED_HOSTS": NAME,
        "VIBEBOX_METRICS_TOKEN": TOKEN,
        "VIBEBOX_RATE_LIMIT_ADDRESS": f"{LIMIT} per hour",
    }
    with WebServer(tmp_path_factory.mktemp("nginx"), env, 1, THREADS) as server:
        nginx = Nginx(CONFIG, NAME, {"server 127.0.0.1:3000": f"server 127.0.0.1:{server.port}"})
        try:
            with Api(server.url) as api:
                # Now: one of the tests uses up what this address may try.
                assert api.register("a@example.org").status_code == 201
                assert api.login("a@example.org").status_code == 200
                yield Site(server, api, nginx)
        finally:
            nginx.close()


def test_redirects_stay_on_tls(site: Site) -> None:
    for path in ("/openapi/", "/static/1/", "/api/v1/environments/"):
        answer = site.ask("GET", path)
        assert not answer.headers.get("Location", "/").startswith("http")


def test_names_that_are_not_listed_are_refused(site: Site) -> None:
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(
            f"{site.server.url}/api/v1/templates", headers={"Host": "other.example"}, timeout=30
        )
    assert (answer.status_code, answer.headers["Content-Type"]) == (421, PROBLEM)


def test_answers_over_tls_and_sends_plain_requests_there(site: Site) -> None:
    answer = site.ask("GET", "/health/live")
    assert answer.status_code == 200
    assert "max-age=" in answer.headers["Strict-Transport-Security"]
    plain = f"http://127.0.0.1:{site.nginx.plain_port}/console?tab=1"
    with requests.Session() as session:
        session.trust_env = False
        sent = session.get(plain, headers={"Host": NAME}, timeout=30, allow_redirects=False)
    assert (sent.status_code, sent.headers["Location"]) == (308, f"https://{NAME}/console?tab=1")


@pytest.mark.parametrize(
    "path",
    [
        "/health/metrics",
        "/health/metrics/",
        "//health//metrics",
        "/health/%6Detrics",
        "/console/../health/metrics",
        "/health/metrics?name[]=up",
    ],
)
def test_metrics_are_closed_even_to_who_has_the_token(site: Site, path: str) -> None:
    answer = site.ask("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 404
    assert "vibebox_" not in answer.text


def test_alerts_come_from_inside_only_and_are_read_from_outside(site: Site) -> None:
    answer = site.ask("POST", "/api/v1/alerts", json={})
    assert answer.status_code == 404
    assert "nginx" in answer.text
    assert site.ask("GET", "/api/v1/alerts", headers=site.bearer()).status_code == 200


def directive(name: str) -> list[str]:
    """Return the values of a directive, in the order of the file."""
    return re.findall(rf"^\s*{name}\s+([^;]+);", CONFIG, re.MULTILINE)


def test_limits_fit_those_of_the_service() -> None:
    defaults = Settings()
    usual, packages = [int(size.removesuffix("m")) for size in directive("client_max_body_size")]
    assert usual * 2**20 >= MAX_BODY_BYTES
    assert packages > defaults.extension_limit_mb
    # The other way round, nginx sends a request on a connection that was closed a moment ago.
    (idle,) = directive("keepalive_timeout")
    assert int(idle.removesuffix("s")) < defaults.keepalive


def test_package_reaches_the_service(site: Site) -> None:
    path = f"/api/v1/environments/{site.api.create('packages', 'busybox')}/extensions"
    headers = {"Content-Type": "application/octet-stream", **site.bearer()}
    answer = site.ask("POST", path, data=bytes(3 * 2**20), headers=headers)
    # Refused by VibeBox for what it is, not by nginx for its size.
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, PROBLEM)


def test_clients_that_read_slowly_hold_no_thread_of_the_service(site: Site) -> None:
    environment = site.api.create("talkative", "busybox")
    site.write_log(environment, lines=300, size=20_000)
    target = f"/api/v1/environments/{environment}/logs?limit=300"
    since = Since(site.server)
    readers = [site.begin(target) for _ in range(2 * THREADS)]
    try:
        # Nobody reads the answers, yet the service is done with all of them. Not asked for: busy
        # threads, of which a stream that somebody left holds one until its next sign of life.
        wait_until(lambda: since.metric(ANSWERED, route=LOGS) == len(readers), 40)
        assert site.ask("GET", "/api/v1/environments", headers=site.bearer()).status_code == 200
    finally:
        for reader in readers:
            reader.close()


def test_events_arrive_as_they_happen(site: Site) -> None:
    environment = site.api.create("eventful", "busybox")
    with closing(site.begin(f"/api/v1/environments/{environment}/events?follow=true")) as stream:
        stream.settimeout(10)
        received = b""
        while b"event: status" not in received:
            part = stream.recv(65536)
            assert part, received
            received += part


def test_websocket_passes_and_knows_its_own_page_from_a_foreign_one(site: Site) -> None:
    path = f"/api/v1/environments/{site.api.create('one', 'busybox')}/status/stream"
    ticket = site.api.call("POST", "/ws-tickets").json()["ticket"]
    with site.open(path, ticket, f"https://{site.host}") as opened:
        assert '"stopped"' in str(opened.recv(timeout=20))
    with pytest.raises(InvalidStatus, match="403"):
        site.open(path, ticket, "https://elsewhere.example.org")
    assert ticket not in site.nginx.access_log.read_text()


def test_forged_address_does_not_escape_the_rate_limit(site: Site) -> None:
    statuses = []
    for number in range(LIMIT + 1):
        body = {"email": f"{number}@example.org", "password": "not the password"}
        forged = {"X-Forwarded-For": f"192.0.2.{number}"}
        answer = site.ask("POST", "/api/v1/auth/login", json=body, headers=forged)
        statuses.append(answer.status_code)
    assert (statuses[0], statuses[-1]) == (401, 429)
