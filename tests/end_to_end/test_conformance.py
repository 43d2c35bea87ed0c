"""The service does what its OpenAPI document says, to whoever asks whatever.

schemathesis makes requests from the document: values at and beyond each bound, wrong types, missing
and unknown parts, methods that are not there, requests without a token, and requests that follow
from the answers to others. It fails for a 5xx, for an answer that the document does not have (its
status, media type, headers, body), for what the document allows and the service refuses, and for
what the document forbids and the service takes. The hooks say who asks, and what no schema can say.

It cannot make the handshake of a WebSocket: as plain requests those routes are asked like all
others, and their handshakes are made here.
"""

import http.client
import json
import os
import random
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.secrets.values import new_key
from tests.backends import http as plain
from tests.backends.docker_engine import DockerEngine
from tests.backends.postgresql import PostgreSQL
from tests.backends.web import ROOT, WebServer
from tests.end_to_end.api import PASSWORD, Api
from tests.sizes import size
from tests.support.routes import ROUTES

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(400)]

SETTINGS = Path(__file__).parent / "conformance" / "schemathesis.toml"
OPERATOR, TOKEN = "op@example.org", "told-by-alertmanager"
IMAGE = "python:3.12-slim"
"""The image of the document's examples: what it asks for can so be started."""
SOCKETS = ("/terminal", "/status/stream", "/logs/stream")
ENVIRONMENT = {
    "VIBEBOX_STOP_GRACE": "0",
    "VIBEBOX_ALERTS_TOKEN": TOKEN,
}


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, postgresql: PostgreSQL, docker_engine: DockerEngine
) -> Iterator[WebServer]:
    """The service with real peers, an operator's account, and the image of the examples."""
    client = docker_engine.client()
    repository, _, tag = IMAGE.partition(":")
    client.tag(docker_engine.busybox, repository, tag)
    env = {**ENVIRONMENT, "DATABASE_URL": postgresql.new_database()}
    env |= {"DOCKER_HOST": docker_engine.host, "VIBEBOX_SECRET_KEYS": new_key()}
    directory = tmp_path_factory.mktemp("conformance")
    with WebServer(directory, env, workers=2, threads=16) as server:
        with Api(server.url) as api:
            assert api.register(OPERATOR).status_code == 201
        grant = [sys.executable, "-m", "app.cli", "operators", "grant", OPERATOR]
        subprocess.run(grant, cwd=ROOT, env=server.env, check=True, capture_output=True)
        yield server
    docker_engine.clear()


def configuration(server: WebServer, document: str, seed: int) -> Path:
    """Return schemathesis's settings: values at each bound are asked of a part of the operations.

    Other ones in each run, and of all at full size; values at random are asked of all always.
    """
    paths = plain.get(document).json()["paths"]
    operations = sorted(
        (path, method.upper()) for path, methods in paths.items() for method in methods
    )
    left_out = random.Random(seed).sample(operations, round(len(operations) * size(0.6, 0)))
    blocks = [
        "[[operations]]\n"
        f"include-path = {json.dumps(path)}\n"
        f"include-method = {json.dumps(method)}\n"
        "[operations.phases.coverage]\n"
        "enabled = false\n"
        for path, method in left_out
    ]
    file = server.log.parent / "schemathesis.toml"
    file.write_text("\n".join([SETTINGS.read_text(), *blocks]))
    return file


def run_schemathesis(server: WebServer, seed: int) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("schemathesis"))
    document = f"{server.url}/openapi/openapi.json"
    settings = configuration(server, document, seed)
    command = [program, f"--config-file={settings}", "--no-color", "run", document]
    command += [f"--max-examples={size(2, 10)}"]
    with Api(server.url) as api:
        api.login(OPERATOR)
        own = api.call("GET", "/auth/me").json()["id"]
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(server.log.parent),
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "tests.end_to_end.conformance.hooks",
        "VIBEBOX_TEST_ACCOUNT": f"{OPERATOR} {PASSWORD}",
        "VIBEBOX_TEST_ACCOUNT_ID": own,
        "VIBEBOX_TEST_ALERTS_TOKEN": TOKEN,
    }
    return subprocess.run(
        [*command, f"--seed={seed}"],
        cwd=server.log.parent,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def counts(server: WebServer) -> Counter[tuple[str, str, int]]:
    """Return how often the service gave each status, by method and route."""
    found: Counter[tuple[str, str, int]] = Counter()
    for (name, labels), value in server.metrics().items():
        if name == "vibebox_http_requests_total":
            label = dict(labels)
            found[label["method"], label["route"], int(label["status_code"])] += int(value)
    return found


def test_answers_are_those_of_the_document(server: WebServer) -> None:
    seed = random.SystemRandom().randrange(2**31)
    before = counts(server)
    result = run_schemathesis(server, seed)

    assert result.returncode == 0, f"seed {seed}\n{result.stdout}{result.stderr}"
    given = counts(server) - before
    refused = []
    for route in ROUTES:
        statuses = {
            status for method, rule, status in given if (method, rule) == (route.method, route.rule)
        }
        assert statuses, f"{route} was not asked"
        assert max(statuses) < 500, f"{route}: {statuses}"
        if min(statuses) >= 300:
            refused.append(str(route))
        elif route.guarded:
            assert 401 in statuses, f"{route} was not asked without a token"
    # Most routes have done what they are for: who is only refused finds little.
    assert len(refused) < len(ROUTES) / 2, f"only refused: {refused}, seed {seed}"


class Handshake:
    """Asks a route for a WebSocket, with one thing changed at a time."""

    def __init__(self, server: WebServer, token: str) -> None:
        self._port = server.port
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        }

    def __call__(self, path: str, **changes: str | None) -> tuple[int, str]:
        """Return the status and the media type of the answer; a header of None is left out."""
        named = {name.replace("_", "-"): value for name, value in changes.items()}
        headers = {
            name: value for name, value in {**self._headers, **named}.items() if value is not None
        }
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers.get_content_type()
        finally:
            connection.close()


CHANGES: tuple[tuple[dict[str, str | None], str, int], ...] = (
    ({"Authorization": None}, "", 401),
    ({"Authorization": "Bearer vbx_at_no"}, "", 401),
    ({"Authorization": None}, "?ticket=vbx_ws_no", 401),
    ({"Origin": "https://elsewhere.example"}, "", 403),
    ({"Sec_WebSocket_Version": "12"}, "", 400),
    ({"Sec_WebSocket_Key": "short"}, "", 400),
    ({"Upgrade": None}, "", 426),
    ({}, f"?ticket={'x' * 129}", 422),
    ({}, "?ticket=a&ticket=b", 422),
)


def test_handshakes_are_answered_as_documented(
    server: WebServer, subtests: pytest.Subtests
) -> None:
    document = plain.get(f"{server.url}/openapi/openapi.json").json()
    with Api(server.url) as api:
        # Somebody new: of the operator's quota nobody knows what schemathesis made of it.
        email = f"{uuid.uuid4().hex[:12]}@example.org"
        api.register(email)
        api.login(email)
        environment = api.create("sockets", IMAGE)
        handshake = Handshake(server, api.tokens["access_token"])
        assert api.act(environment, "start").status_code == 200
        asked = api.call("POST", f"/environments/{environment}/sessions", {"type": "shell"})
        ids = {"environment_id": environment, "session_id": asked.json()["id"]}
    for path, described in document["paths"].items():
        if not path.endswith(SOCKETS):
            continue
        documented = set(described["get"]["responses"])
        good = path.format(**ids)
        unknown = path.format(environment_id="none", session_id="none")
        cases = [(changes, good + query, status) for changes, query, status in CHANGES]
        # What succeeds comes last: a shell ends with its terminal.
        cases += [({}, unknown, 404)] if unknown != good else []
        cases += [({}, good, 101)]
        for changes, url, expected in cases:
            with subtests.test(f"{path} {json.dumps(changes)} {url[-40:]}"):
                status, media_type = handshake(url, **changes)

                assert status == expected
                assert str(status) in documented
                assert status == 101 or media_type == "application/problem+json"
