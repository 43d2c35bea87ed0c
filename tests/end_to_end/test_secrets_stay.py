"""Nothing secret leaves with a signal: not with a span, a metric or a log record, nor in a header.

A tour through all that takes a secret, of users and of the operator; then all bytes that a receiver
was sent are searched for each of them, and so are the logs of the processes.
"""

import base64
import gzip
import secrets
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from cryptography.fernet import Fernet

from tests.backends import http
from tests.backends.agent import Agent
from tests.backends.docker_engine import DockerEngine
from tests.backends.otlp_sink import OtlpSink
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import wait_until
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory
from tests.end_to_end.api import Api
from tests.end_to_end.sockets import Screen, opened

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(400)]

PATIENCE = 30.0
EMAIL = "ada@example.org"


class Kept:
    """The secrets of the tour, each of its own random letters."""

    def __init__(self) -> None:
        self.by_name: dict[str, str] = {}

    def new(self, name: str) -> str:
        """Return a secret that does not look like one: no pattern finds it."""
        return self.note(name, f"{name}{secrets.token_hex(8)}")

    def note(self, name: str, secret: str) -> str:
        assert len(secret) >= 12, name
        self.by_name[name] = secret
        return secret

    def found_in(self, content: bytes) -> set[str]:
        """Return which of them are there, as they are or written in another way."""
        return {
            name
            for name, secret in self.by_name.items()
            if any(form in content for form in _forms(secret))
        }


def _forms(secret: str) -> Iterator[bytes]:
    plain = secret.encode()
    yield plain
    yield quote(secret, safe="").encode()
    yield plain.hex().encode()
    # Of whatever stands before it in the same text.
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + plain)
        yield whole[4 if before else 0 : -4]


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def server(
    sink: OtlpSink,
    kept: Kept,
    web_server: WebServerFactory,
    postgresql: PostgreSQL,
    docker_engine: DockerEngine,
) -> WebServer:
    user, _, address = postgresql.new_database().partition("@")
    login = f"{user}:{kept.new('databasepassword')}"
    return web_server(
        {
            "DATABASE_URL": f"{login}@{address}",
            "DOCKER_HOST": docker_engine.host,
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"x-ours={kept.new('receiverkey')}",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_LOGS_EXPORTER": "otlp",
            "VIBEBOX_CONTAINER_LOGS_EXPORTER": "otlp",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
            "VIBEBOX_TRACES_RATIO": "1",
            "VIBEBOX_LOG_LEVEL": "debug",
            "VIBEBOX_STOP_GRACE": "0",
            "VIBEBOX_SECRET_KEYS": kept.note("secretkey", Fernet.generate_key().decode()),
            "VIBEBOX_METRICS_TOKEN": kept.new("metricstoken"),
            "VIBEBOX_ALERTS_TOKEN": kept.new("alertstoken"),
        }
    )


def test_nothing_secret_leaves_with_a_signal(
    sink: OtlpSink, server: WebServer, kept: Kept, docker_engine: DockerEngine
) -> None:
    agent = Agent.beside(server).start()
    try:
        with Api(server.url) as api:
            _account(api, kept)
            _environment(api, kept, docker_engine)
            told = _mistakes(api, server, kept)
        wait_until(lambda: bool(sink.trace(told)), PATIENCE)
        wait_until(lambda: any(r["path"] == "/v1/metrics" for r in sink.requests), PATIENCE)
        wait_until(lambda: any(one.trace_id == told for one in list(sink.records)), PATIENCE)
        wait_until(lambda: _roads() <= {span.name for span in list(sink.spans)}, PATIENCE)
    finally:
        agent.terminate()
        agent.close()
        docker_engine.clear()
    server.terminate()
    kept.by_name.pop("receiverkey")  # which is for the receiver, in its header
    sent = b"\0".join(_plain(body) for body in sink.wire)
    # It would be found: so is what may leave.
    assert bytes.fromhex(told) in sent
    assert EMAIL.encode() not in sent
    assert kept.found_in(sent) == set()
    headers = "\n".join(
        f"{k}: {v}" for request in (*sink.requests, *sink.log_requests) for k, v in request.items()
    )
    assert kept.found_in(headers.encode()) == set()
    for log in (server.log, agent.log):
        assert kept.found_in(log.read_bytes()) == set(), log


def _plain(body: bytes) -> bytes:
    return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body


def _roads() -> set[str]:
    """Return spans without which the tour was none."""
    return {
        "POST /api/v1/auth/login",
        "POST /api/v1/auth/password",
        "POST /api/v1/auth/refresh",
        "POST /api/v1/api-keys",
        "POST /api/v1/ws-tickets",
        "POST /api/v1/environments",
        "POST /api/v1/environments/<environment_id>/start",
        "POST /api/v1/environments/<environment_id>/extensions/upload",
        "POST /api/v1/alerts",
        "terminal attach",
        "terminal end",
        "extension",
        "log_intake",
        "docker exec",
        "INSERT environments",
    }


def _account(api: Api, kept: Kept) -> None:
    """Passwords, right and wrong, and all kinds of tokens."""
    first, second = kept.new("firstpassword"), kept.new("secondpassword")
    assert api.register(EMAIL, first).status_code == 201
    assert api.login(EMAIL, kept.new("wrongpassword")).status_code == 401
    assert api.login(EMAIL, first).ok
    changed = api.call("POST", "/auth/password", {"old_password": first, "new_password": second})
    assert changed.ok, changed.text
    assert api.login(EMAIL, second).ok
    for name in ("access_token", "refresh_token"):
        kept.note(f"first {name}", api.tokens[name])
    answer = api.call("POST", "/auth/refresh", {"refresh_token": api.tokens["refresh_token"]})
    api.tokens = answer.json()
    for name in ("access_token", "refresh_token"):
        kept.note(name, api.tokens[name])
    made = api.call("POST", "/api-keys", {"name": "ci", "scopes": ["read"]})
    assert made.status_code == 201, made.text
    key = kept.note("api key", made.json()["key"])
    assert api.call("GET", "/environments", token=key).ok


def _environment(api: Api, kept: Kept, docker_engine: DockerEngine) -> None:
    """Variables, a command line in a terminal, a ticket, and a body that is an upload."""
    box = api.create(
        "secretive",
        docker_engine.busybox,
        env={"PLAIN": kept.new("variable")},
        secrets={"HIDDEN": kept.new("secretvariable")},
    )
    assert api.call("POST", f"/environments/{box}/start").json()["status"] == "running"
    made = api.call("POST", f"/environments/{box}/sessions", {"type": "shell"}).json()
    ticket = kept.note("ticket", api.call("POST", "/ws-tickets").json()["ticket"])
    with opened(api, f"/sessions/{made['id']}/terminal") as socket:
        screen = Screen(socket)
        screen.type(f"true {kept.new('commandline')}; echo do''ne\n")
        screen.wait("done")
    answer = api.call("POST", f"/environments/{box}/extensions", {"id": "a.b"})
    assert answer.status_code == 202, answer.text
    upload = f"/environments/{box}/extensions/upload"
    api.call("POST", upload, kept.new("upload").encode())
    # In the query, where browsers cannot do otherwise.
    http.get(f"{api.url}/sessions/{made['id']}/terminal?ticket={ticket}")
    wait_until(lambda: _is_settled(api, box), PATIENCE)


def _is_settled(api: Api, box: str) -> bool:
    found = api.call("GET", f"/environments/{box}/extensions")
    return found.ok and all(one["state"] == "failed" for one in found.json()["items"])


def _mistakes(api: Api, server: WebServer, kept: Kept) -> str:
    """What is sent where it does not belong; return the id of a request."""
    body, query = kept.new("body"), kept.new("query")
    assert api.call("POST", f"/environments?{query}=1", {"name": {"a": body}}).status_code == 422
    api.call("POST", "/auth/login", f'{{"email": "{body}'.encode())
    http.get(f"{api.url}/environments?token={kept.new('querytoken')}&q={query}")
    headers = {
        "Authorization": f"Bearer {kept.new('strangerstoken')}",
        "Cookie": f"session={kept.new('cookie')}",
        "X-Api-Key": kept.new("header"),
        "User-Agent": kept.new("agentname"),
        "Referer": f"https://example.org/{kept.new('referer')}",
    }
    http.get(f"{api.url}/environments", headers=headers)
    # A token of ours in a path is taken out, in whatever route.
    http.get(f"{api.url}/environments/{api.tokens['access_token']}")
    http.get(f"{server.url}/{api.tokens['refresh_token']}/x")
    alerts = {"Authorization": f"Bearer {server.env['VIBEBOX_ALERTS_TOKEN']}"}
    http.get(f"{server.url}/health/metrics", headers=alerts)
    answer = api.call("POST", "/alerts", {"x": body}, token=server.env["VIBEBOX_ALERTS_TOKEN"])
    assert answer.status_code == 422
    scrape = {"Authorization": f"Bearer {server.env['VIBEBOX_METRICS_TOKEN']}"}
    return http.get(f"{server.url}/health/metrics", headers=scrape).headers["X-Request-ID"]
