"""Terminals in real containers, over WebSockets of a real server with two workers."""

import base64
import hashlib
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from websockets.sync.client import ClientConnection

from app.web.streams.terminal import AHEAD
from app.web.websockets.assembly import LARGEST_MESSAGE
from tests.backends import http
from tests.backends.agent import Agent
from tests.backends.docker_engine import DockerEngine
from tests.backends.host_image import import_host_image, missing_programs
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import wait_until
from tests.backends.web import WebServer
from tests.conftest import require, shared
from tests.end_to_end.api import Api
from tests.end_to_end.counters import Since
from tests.end_to_end.sockets import PATIENCE, Paster, Screen, fill, opened, refused, said
from tests.sizes import size

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]

THREADS = 4
SOCKETS = 6
LONG = SOCKETS // 2
"""How many WebSockets of a worker an account may have; it has half of them while it is alone."""

TERMINAL = "/api/v1/sessions/<session_id>/terminal"
CONNECTIONS = "vibebox_websocket_connections"
MESSAGES = "vibebox_websocket_messages_total"


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, docker_engine: DockerEngine, postgresql: PostgreSQL
) -> Iterator[WebServer]:
    require("tmux", missing_programs())
    env = {
        "DOCKER_HOST": docker_engine.host,
        "DATABASE_URL": postgresql.new_database(),
        "VIBEBOX_STOP_GRACE": "0",
        "VIBEBOX_SESSION_IDLE_TIMEOUT": "4",
        "VIBEBOX_SESSIONS_ON_START": "false",
        "VIBEBOX_WEBSOCKETS": str(SOCKETS),
    }
    directory = tmp_path_factory.mktemp("terminals")
    with WebServer(directory, env, workers=2, threads=THREADS) as server, shared(server):
        yield server


@pytest.fixture
def api(server: WebServer, docker_engine: DockerEngine) -> Iterator[Api]:
    """Somebody new, who leaves no environment behind."""
    with Api(server.url) as api:
        api.sign_up()
        yield api
        api.delete_environments()
    docker_engine.clear()


@pytest.fixture
def image(docker_engine: DockerEngine) -> str:
    """The image that holds tmux; made once for the session's engine."""
    with docker_engine.client() as client:
        return import_host_image(client)


def started(api: Api, image: str, name: str = "one") -> str:
    environment = api.create(name, image)
    assert api.act(environment, "start").status_code == 200
    return environment


def new_session(api: Api, environment: str, kind: str) -> str:
    response = api.call("POST", f"/environments/{environment}/sessions", {"type": kind})
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


def status_of(api: Api, session: str) -> str:
    return str(api.call("GET", f"/sessions/{session}").json()["status"])


def terminal(session: str) -> str:
    return f"/sessions/{session}/terminal"


def processes(docker_engine: DockerEngine, environment: str) -> str:
    """Return the command lines of the container, as Docker knows them."""
    with docker_engine.client() as client:
        raw: Any = client
        return "\n".join(line[-1] for line in raw.top(f"vibebox-{environment}")["Processes"])


def output(docker_engine: DockerEngine, environment: str, *argv: str) -> str:
    """Run a command in the container, and return what it printed."""
    with docker_engine.client() as client:
        raw: Any = client
        printed: bytes = raw.exec_start(raw.exec_create(f"vibebox-{environment}", argv)["Id"])
        return printed.decode(errors="replace")


def wait_closed(server: WebServer) -> None:
    wait_until(lambda: server.metric(CONNECTIONS) == 0, PATIENCE)


def test_shell(server: WebServer, api: Api, image: str, docker_engine: DockerEngine) -> None:
    since = Since(server)
    environment = started(api, image)
    session = new_session(api, environment, "shell")
    assert status_of(api, session) == "starting"
    assert since.metric("vibebox_sessions_total", type="shell", status="starting") == 1

    with opened(api, f"{terminal(session)}?cols=100&rows=30") as socket:
        screen = Screen(socket)
        screen.type("stty size; echo $((6 * 7))x\n")
        screen.wait("30 100")
        screen.wait("42x")
        screen.resize(132, 43)
        screen.type("stty size\n")
        screen.wait("43 132")
        assert status_of(api, session) == "active"
        assert since.metric("vibebox_sessions", type="shell", status="active") == 1
        assert server.metric(CONNECTIONS) == 1
        assert server.metric("vibebox_active_connections") == 0
        assert refused(api, terminal(session))[1]["type"] == "urn:vibebox:problem:session-conflict"

        screen.type("sleep 1000 & exit 7\n")
        assert said(socket) == (1000, "exit code 7")
    wait_closed(server)

    assert api.call("GET", f"/sessions/{session}").json()["exit_code"] == 7
    (opened_once,) = api.call("GET", "/audit?action=session.open").json()["items"]
    assert opened_once["target_id"] == session
    assert opened_once["address"] == "127.0.0.1"
    wait_until(lambda: "1000" not in processes(docker_engine, environment).split(), PATIENCE)
    assert since.metric("vibebox_sessions_total", type="shell", status="terminated") == 1
    assert since.metric(MESSAGES, direction="in", kind="terminal") == 4
    assert since.metric(MESSAGES, direction="out", kind="terminal") >= screen.messages
    answered = "vibebox_http_requests_total"
    assert since.metric(answered, route=TERMINAL, status_code="101") == 1
    assert since.metric(answered, route=TERMINAL, status_code="409") == 1
    timed = "vibebox_http_request_duration_seconds_count"
    assert since.metric(timed, route=TERMINAL, status_code="101") == 0


def test_shell_ends_with_its_terminal(
    api: Api, server: WebServer, image: str, docker_engine: DockerEngine
) -> None:
    environment = started(api, image)
    session = new_session(api, environment, "shell")
    with opened(api, terminal(session)) as socket:
        screen = Screen(socket)
        screen.type("echo my$((1000 + 1))\n")
        screen.wait("my1001")
        socket.send('{"type": "ping"}')
        assert _next_text(socket) == {"type": "pong"}
        assert "bash" in processes(docker_engine, environment)
    wait_until(
        lambda: status_of(api, session) == "terminated",
        PATIENCE,
        otherwise=lambda: server.log.read_text()[-6000:],  # says why it was left to an agent
    )
    wait_until(lambda: "bash" not in processes(docker_engine, environment), PATIENCE)

    assert refused(api, terminal(session))[0] == 409
    with opened(api, terminal(new_session(api, environment, "shell"))) as socket:
        _flood(socket)
        socket.send("no message of ours")
        assert said(socket)[0] == 1003
    wait_closed(server)


def _flood(socket: ClientConnection) -> None:
    """Be sent no more ahead of what was shown than is told, so that Ctrl-C is seen at once."""
    socket.send('{"type": "shown", "bytes": 0}')
    Screen(socket).type("yes\n")
    for _ in range(2):
        received = 0
        with suppress(TimeoutError):
            while True:
                received += len(socket.recv(timeout=1))
        assert AHEAD <= received < AHEAD + 256 * 1024
        socket.send(json.dumps({"type": "shown", "bytes": received}))
    Screen(socket).type("\x03")


def _next_text(socket: ClientConnection) -> Any:
    while True:
        message = socket.recv(timeout=PATIENCE)
        if isinstance(message, str):
            return json.loads(message)


def test_tmux_keeps_its_screen(server: WebServer, api: Api, image: str) -> None:
    environment = started(api, image)
    session = new_session(api, environment, "tmux")
    assert status_of(api, session) == "active"
    with opened(api, terminal(session)) as socket:
        screen = Screen(socket)
        screen.type("echo kept-$((40 + 2))\n")
        screen.wait("kept-42")
    wait_closed(server)

    with opened(api, terminal(session)) as socket, opened(api, terminal(session)) as second:
        Screen(socket).wait("kept-42")
        Screen(second).wait("kept-42")
        assert api.call("DELETE", f"/sessions/{session}").status_code == 204
        assert said(socket)[0] == said(second)[0] == 1000
    assert status_of(api, session) == "terminated"
    assert api.call("DELETE", f"/sessions/{session}").status_code == 204, "again is fine"
    wait_closed(server)


@pytest.mark.parametrize("kind", size(["tmux"], ["tmux", "shell"]))
def test_paste_arrives_whole_also_over_a_reload(
    server: WebServer, api: Api, image: str, docker_engine: DockerEngine, kind: str
) -> None:
    environment = started(api, image)
    text = base64.encodebytes(os.urandom(size(1_500_000, 8_000_000)))
    first, middle = LARGEST_MESSAGE, LARGEST_MESSAGE + len(text) // 4
    path = f"{terminal(new_session(api, environment, kind))}?acknowledge=true"
    with opened(api, path) as socket:
        screen, paster = Screen(socket), Paster(socket)
        screen.type(f"stty -echo -icanon; echo rea''dy; head -c {len(text)} >/pasted\n")
        screen.wait("ready")
        begun = time.monotonic()
        paster.send(text[:first])
        paster.paste(text[first:middle])
        server.signal(signal.SIGHUP)
        paster.paste(text[middle:])
        print(f"{len(text)} bytes in {time.monotonic() - begun:.1f} s")
        assert said(socket)[0] == 1001
    digest = hashlib.sha256(text).hexdigest()
    wait_until(
        lambda: digest in output(docker_engine, environment, "sha256sum", "/pasted"),
        PATIENCE,
        otherwise=lambda: output(docker_engine, environment, "ls", "-l", "/pasted"),
    )
    wait_closed(server)


def test_what_cannot_be_started(api: Api, image: str, docker_engine: DockerEngine) -> None:
    bare = started(api, docker_engine.busybox, "bare")
    path = f"/environments/{bare}/sessions"
    for kind in ("tmux", "vscode_server"):
        response = api.call("POST", path, {"type": kind})
        assert response.status_code == 422
        assert response.json()["type"] == "urn:vibebox:problem:executable-missing"
        assert "The image holds no" in response.json()["detail"]
    shell = new_session(api, bare, "shell")
    with opened(api, terminal(shell)) as socket:  # without bash there is sh
        screen = Screen(socket)
        screen.type("echo $((6 * 7))y\n")
        screen.wait("42y")
        assert api.act(bare, "stop").status_code == 200
        assert status_of(api, shell) == "terminated", "at once, with its container"
        assert said(socket)[0] == 1000
    assert api.call("POST", path, {"type": "shell"}).status_code == 409
    listed = api.call("GET", f"{path}?status=terminated").json()
    assert [item["id"] for item in listed["items"]] == [shell] and listed["total"] == 1


@pytest.mark.full
def test_cap_and_drain(server: WebServer, api: Api, image: str) -> None:
    environment = started(api, image)
    session = new_session(api, environment, "tmux")
    assert server.metric("vibebox_websocket_connections_limit") == 2 * SOCKETS
    _use_to_the_full(server, api, environment, session)
    # That all is given back is seen with 200 of them, in test_crowd.
    with ExitStack() as stack:
        open_sockets = fill(api, terminal(session), 2 * LONG, stack)
        begun = time.monotonic()
        server.signal(signal.SIGTERM)
        codes = [said(socket)[0] for socket in open_sockets]
        seconds = time.monotonic() - begun
        print(f"{len(codes)} sockets closed {seconds:.2f} s after SIGTERM")
    assert codes == [1001] * 2 * LONG
    assert seconds < 8, "generous for a slow machine; a quiet one takes less than 2"
    assert server.wait_ended() == 0


def _use_to_the_full(server: WebServer, api: Api, environment: str, session: str) -> None:
    """Open as many sockets as there may be, and see that the rest goes on."""
    with ExitStack() as stack:
        for socket in fill(api, terminal(session), 2 * LONG, stack):
            Screen(socket).wait("vibebox-")  # the status line of tmux
        assert server.metric(CONNECTIONS) == 2 * LONG
        wait_until(lambda: server.metric("vibebox_worker_threads", state="busy") == 0, PATIENCE)
        for _ in range(10):
            status, problem = refused(api, f"/environments/{environment}/status/stream")
            assert (status, problem["type"]) == (429, "urn:vibebox:problem:too-many-requests")
            assert http.get(f"{server.url}/health").status_code == 200
            assert api.call("GET", "/environments").status_code == 200
    wait_closed(server)


def test_agent_keeps_sessions_true(
    server: WebServer, api: Api, image: str, docker_engine: DockerEngine
) -> None:
    environment = started(api, image)
    gone, left = new_session(api, environment, "tmux"), new_session(api, environment, "tmux")
    agent = Agent.beside(server).start()
    try:
        with docker_engine.client() as client:
            raw: Any = client
            killing = ["tmux", "-L", "vibebox", "kill-session", "-t", f"=vibebox-{gone[:8]}"]
            raw.exec_start(raw.exec_create(f"vibebox-{environment}", killing)["Id"])
        wait_until(lambda: status_of(api, gone) == "terminated", PATIENCE)
        wait_until(
            lambda: server.metric("vibebox_sessions", type="tmux", status="idle") == 1, PATIENCE
        )
        with opened(api, terminal(left)) as socket:
            Screen(socket).wait("vibebox-")
            assert status_of(api, left) == "active", "who comes back wakes it up"
        wait_until(lambda: status_of(api, left) == "terminated", PATIENCE)
        assert "tmux" not in processes(docker_engine, environment)
    finally:
        agent.close()
