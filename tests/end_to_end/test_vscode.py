"""A real VS Code server in real containers: its sessions, and extensions by its own CLI."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.backends.agent import Agent
from tests.backends.code_server import PORT, import_code_server, missing_code_server, package
from tests.backends.docker_engine import DockerEngine
from tests.backends.host_image import missing_programs
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import wait_until
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory, require
from tests.end_to_end.api import Api
from tests.end_to_end.sockets import PATIENCE, refused

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]

SLOW = 2 * PATIENCE
INSTALLATIONS = "vibebox_extension_installations_total"


@pytest.fixture(scope="module")
def image(docker_engine: DockerEngine) -> str:
    require("tmux", missing_programs())
    require("code-server", missing_code_server())
    with docker_engine.client() as client:
        return import_code_server(client)


@pytest.fixture
def server(
    web_server: WebServerFactory, docker_engine: DockerEngine, postgresql: PostgreSQL
) -> Iterator[WebServer]:
    env = {
        "DOCKER_HOST": docker_engine.host,
        "DATABASE_URL": postgresql.new_database(),
        "VIBEBOX_STOP_GRACE": "0",
        "VIBEBOX_VSCODE_START_TIMEOUT": "120",
    }
    yield web_server(env, workers=2, threads=4)
    docker_engine.clear()


@pytest.fixture
def api(server: WebServer) -> Iterator[Api]:
    with Api(server.url) as api:
        api.register("ada@example.org")
        api.login("ada@example.org")
        yield api


@pytest.fixture
def agent(server: WebServer) -> Iterator[Agent]:
    agent = Agent.beside(server).start()
    yield agent
    agent.close()


def started(api: Api, image: str, *ports: int) -> str:
    published = [{"container_port": port} for port in ports]
    environment = api.create("one", image, ports=published)
    assert api.act(environment, "start").status_code == 200
    return environment


def sessions(api: Api, environment: str) -> dict[str, dict[str, Any]]:
    """Return the newest session of each type."""
    listed = api.call("GET", f"/environments/{environment}/sessions").json()["items"]
    return {item["type"]: item for item in reversed(listed)}


def extensions(api: Api, environment: str) -> dict[str, dict[str, Any]]:
    listed = api.call("GET", f"/environments/{environment}/extensions").json()["items"]
    return {item["name"]: item for item in listed}


def executed(docker_engine: DockerEngine, environment: str, *argv: str) -> str:
    with docker_engine.client() as client:
        raw: Any = client
        made = raw.exec_create(f"vibebox-{environment}", list(argv))
        return bytes(raw.exec_start(made["Id"])).decode()


def wait_for_servers(server: WebServer, status: str, number: int) -> None:
    def there() -> bool:
        return server.metric("vibebox_sessions", type="vscode_server", status=status) == number

    wait_until(there, SLOW)


def test_vscode_server(
    server: WebServer, api: Api, image: str, docker_engine: DockerEngine
) -> None:
    path = f"/environments/{started(api, image, PORT)}/sessions"
    made = api.call("POST", path, {"type": "vscode_server"})
    assert made.status_code == 201, made.text
    session = made.json()
    assert session["status"] == "active", "its answer was awaited"
    assert server.metric("vibebox_sessions_total", type="vscode_server", status="active") == 1

    url = session["connection_url"]
    assert requests.get(f"{url}healthz", timeout=PATIENCE).status_code == 200
    page = requests.get(url, timeout=PATIENCE)
    assert page.url.endswith("/login"), "who does not know the password sees no more"
    told = api.call("GET", f"/sessions/{session['id']}/connection")
    assert told.headers["Cache-Control"] == "no-store"
    assert told.json()["connection_url"] == url
    (noted,) = api.call("GET", "/audit?action=session.open").json()["items"]
    assert (noted["target_id"], noted["details"]) == (session["id"], {"type": "vscode_server"})
    with requests.Session() as browser:
        sent = {"password": told.json()["password"]}
        opened = browser.post(f"{url}login", data=sent, timeout=PATIENCE)
        assert opened.status_code == 200 and "login" not in opened.url

    second = api.call("POST", path, {"type": "vscode_server"})
    assert (second.status_code, "already" in second.json()["detail"]) == (409, True)
    assert refused(api, f"/sessions/{session['id']}/terminal")[0] == 409
    assert api.call("DELETE", f"/sessions/{session['id']}").status_code == 204
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=PATIENCE)
    assert api.call("GET", f"/sessions/{session['id']}/connection").status_code == 409
    ended = server.metric("vibebox_sessions", type="vscode_server", status="terminated")
    assert ended == 1
    again = api.call("POST", path, {"type": "vscode_server"}).json()
    assert requests.get(f"{again['connection_url']}healthz", timeout=PATIENCE).ok


@pytest.mark.full
def test_server_that_cannot_be_started(api: Api, image: str, docker_engine: DockerEngine) -> None:
    environment = started(api, image, 8000)
    path = f"/environments/{environment}/sessions"
    unpublished = api.call("POST", path, {"type": "vscode_server"})
    assert unpublished.status_code == 422
    assert f'add {{"container_port": {PORT}}} to its ports' in unpublished.json()["detail"]

    api.act(environment, "stop")
    ports = {"ports": [{"container_port": PORT}]}
    assert api.call("PATCH", f"/environments/{environment}", ports).status_code == 200
    api.act(environment, "start")
    fake = 'printf "#!/bin/sh\\necho no display; exit 3\\n" >/usr/local/bin/code-server'
    executed(docker_engine, environment, "sh", "-c", fake)
    broken = api.call("POST", path, {"type": "vscode_server"})
    assert broken.status_code == 422 and "no display" in broken.json()["detail"]
    assert sessions(api, environment)["vscode_server"]["status"] == "terminated"


@pytest.mark.full
def test_sessions_come_with_a_start_and_go_unused(
    server: WebServer, api: Api, image: str, agent: Agent, docker_engine: DockerEngine
) -> None:
    environment = started(api, image, PORT)
    wait_for_servers(server, "active", 1)
    assert set(sessions(api, environment)) == {"tmux", "vscode_server"}
    first = sessions(api, environment)["vscode_server"]
    assert first["user_id"] is None
    assert requests.get(f"{first['connection_url']}healthz", timeout=PATIENCE).ok

    executed(docker_engine, environment, "killall", "-9", "node")
    wait_until(
        lambda: sessions(api, environment)["vscode_server"]["status"] == "terminated",
        SLOW,
    )
    listed = api.call("GET", f"/environments/{environment}/sessions").json()
    assert listed["total"] == 2, "once with each start"
    agent.terminate()
    hasty = Agent.beside(server, "hasty", VIBEBOX_SESSION_IDLE_TIMEOUT="5").start()
    try:
        api.act(environment, "restart")
        for status, number in (("active", 1), ("idle", 1), ("terminated", 2)):
            wait_for_servers(server, status, number)
    finally:
        hasty.close()
    assert "code-server" not in executed(docker_engine, environment, "ps")


@pytest.mark.full
def test_extensions(
    server: WebServer, api: Api, image: str, agent: Agent, docker_engine: DockerEngine
) -> None:
    environment = started(api, image)
    path = f"/environments/{environment}/extensions"
    sent = api.call("POST", f"{path}/upload", package())
    assert sent.status_code == 202, sent.text
    assert (sent.json()["name"], sent.json()["version"]) == ("vibebox.hello", "0.0.1")

    def state(name: str = "vibebox.hello") -> str:
        return str(extensions(api, environment).get(name, {}).get("state"))

    def listed() -> str:
        return executed(docker_engine, environment, "code-server", "--list-extensions")

    wait_until(lambda: state() == "installed", SLOW, otherwise=lambda: state())
    assert "vibebox.hello" in listed()
    assert "ls: " in executed(docker_engine, environment, "sh", "-c", "ls /tmp/vibebox-* 2>&1")
    found = extensions(api, environment)["vibebox.hello"]
    assert found["exit_code"] == 0 and "successfully installed" in found["output"]
    wait_until(lambda: server.metric(INSTALLATIONS, status="success") == 1, PATIENCE)

    # No gallery is reached from there: the command says so, and with it the record.
    assert api.call("POST", path, {"id": "nobody.nothing"}).status_code == 202
    wait_until(lambda: state("nobody.nothing") == "failed", SLOW)
    failed = extensions(api, environment)["nobody.nothing"]
    assert failed["exit_code"] not in (0, None) and failed["output"]
    wait_until(lambda: server.metric(INSTALLATIONS, status="failure") == 1, PATIENCE)

    # A new container has what the environment is to have, and is asked for what it could not get.
    api.act(environment, "stop")
    changed = api.call("PATCH", f"/environments/{environment}", {"env": {"A": "1"}})
    assert changed.status_code == 200
    api.act(environment, "start")
    wait_until(lambda: server.metric(INSTALLATIONS, status="success") == 2, SLOW)
    wait_until(lambda: server.metric(INSTALLATIONS, status="failure") == 2, SLOW)
    assert "vibebox.hello" in listed()

    for item in extensions(api, environment).values():
        removed = api.call("DELETE", f"{path}/{item['id']}")
        assert (removed.status_code, removed.json()["state"]) == (202, "uninstalling")
    wait_until(lambda: not extensions(api, environment), SLOW)
    assert "vibebox.hello" not in listed()
    assert server.metric(INSTALLATIONS, status="success") == 2
    assert server.metric(INSTALLATIONS, status="failure") == 2


@pytest.mark.full
def test_installation_that_a_killed_agent_left_is_done_once(
    server: WebServer, api: Api, agent: Agent, docker_engine: DockerEngine
) -> None:
    environment = started(api, docker_engine.busybox)
    waiting = "while [ ! -e /tmp/go ]; do sleep 0.1; done"
    program = f"printf '#!/bin/sh\\n{waiting}\\necho $$ >>/tmp/done' >/bin/code-server"
    executed(docker_engine, environment, "sh", "-c", f"{program}; chmod +x /bin/code-server")

    def at_work() -> list[str]:
        lines = executed(docker_engine, environment, "ps").splitlines()
        return [line.split()[0] for line in lines if "/bin/code-server --install" in line]

    path = f"/environments/{environment}/extensions"
    assert api.call("POST", path, {"id": "a.b"}).status_code == 202
    wait_until(lambda: len(at_work()) == 1, SLOW)
    (first,) = at_work()
    agent.kill()
    assert extensions(api, environment)["a.b"]["state"] == "installing"

    agent.start()
    wait_until(lambda: at_work() not in ([], [first]), SLOW)
    assert len(at_work()) == 1, "what the first one left is ended"
    executed(docker_engine, environment, "touch", "/tmp/go")
    wait_until(lambda: extensions(api, environment)["a.b"]["state"] == "installed", SLOW)
    assert len(executed(docker_engine, environment, "cat", "/tmp/done").split()) == 1
    wait_until(lambda: server.metric(INSTALLATIONS, status="success") == 1, PATIENCE)
    assert server.metric(INSTALLATIONS, status="failure") == 0
