"""Environments through the public API, with real containers."""

import os
import signal
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.backends.docker_engine import DockerEngine
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import free_port, wait_until
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory
from tests.end_to_end.api import Api
from tests.sizes import size

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, docker_engine: DockerEngine, postgresql: PostgreSQL
) -> Iterator[WebServer]:
    env = {"DOCKER_HOST": docker_engine.host, "DATABASE_URL": postgresql.new_database()}
    with WebServer(tmp_path_factory.mktemp("environments"), env) as server:
        yield server


@pytest.fixture
def api(server: WebServer, docker_engine: DockerEngine) -> Iterator[Api]:
    """Somebody new, whose containers go after the test."""
    email = f"{uuid.uuid4().hex[:12]}@example.org"
    with Api(server.url) as api:
        api.register(email)
        api.login(email)
        yield api
    docker_engine.clear()


def status(api: Api, environment: str) -> str:
    return str(api.call("GET", f"/environments/{environment}").json()["status"])


CPUS = os.cpu_count() or 1
CREATED = size(80, 200)
# Fields of an environment whose start cannot succeed, for a reason that its owner can mend.
MISTAKES: dict[str, dict[str, Any]] = {
    "more CPUs than there are": {"cpu_limit": CPUS + 1},
    "volume over proc": {"volume_path": "/proc"},
    "volume over Docker's file": {"volume_path": "/etc/hosts"},
    "volume over a device": {"volume_path": "/dev/null"},
    "no such image": {"image": "no-such-image:1", "pull": "never"},
}


def failures(server: WebServer) -> dict[str, float]:
    """What an operator is told of, and objectives go by."""
    return {
        "5xx": sum(
            server.metric("vibebox_api_errors_total", type=kind)
            for kind in ("server_error", "unhandled_exception", "timeout")
        ),
        "starts": server.metric(
            "vibebox_environment_start_duration_seconds_count", outcome="failure"
        ),
        "calls": server.metric("vibebox_docker_operations_total", status="failure"),
    }


def test_mistakes_of_an_account_are_told_to_it_and_to_nobody_else(
    api: Api, server: WebServer, docker_engine: DockerEngine, subtests: pytest.Subtests
) -> None:
    before = failures(server)
    told = {"outcome": "user_error"}
    counted = server.metric("vibebox_environment_start_duration_seconds_count", **told)
    for number, (name, fields) in enumerate(MISTAKES.items()):
        with subtests.test(name):
            body = {"image": docker_engine.busybox, **fields}
            environment = api.create(f"mistake-{number}", **body)
            for action in ("start", "restart"):
                refused = api.act(environment, action)
                assert refused.status_code in (409, 422), refused.text
                assert docker_engine.log.parent.name not in refused.text, "no path of the host"
    assert failures(server) == before
    after = server.metric("vibebox_environment_start_duration_seconds_count", **told)
    assert after == counted + len(MISTAKES)


def test_limits_beyond_the_host_are_refused_while_it_runs(
    api: Api, server: WebServer, docker_engine: DockerEngine
) -> None:
    environment = api.create("one", docker_engine.busybox, memory_limit_mb=64)
    assert api.act(environment, "start").ok
    before = failures(server)
    refused = api.call("PATCH", f"/environments/{environment}", {"cpu_limit": CPUS + 1})
    assert refused.status_code == 409, refused.text
    shown = api.call("GET", f"/environments/{environment}").json()
    assert (shown["status"], shown["cpu_limit"]) == ("running", 1.0)
    assert failures(server) == before


def test_whole_life(api: Api, docker_engine: DockerEngine) -> None:
    ports = [{"container_port": 8000}]
    environment = api.create("one", docker_engine.busybox, ports=ports, env={"A": "b"})
    assert status(api, environment) == "stopped"

    started = api.act(environment, "start").json()
    assert started["status"] == "running"
    assert started["published_ports"][0]["container_port"] == 8000
    container = containers(docker_engine, environment)[0]
    assert container["State"]["Running"] is True
    assert "A=b" in container["Config"]["Env"]
    assert container["HostConfig"]["Memory"] == started["memory_limit_mb"] * 1024 * 1024

    assert api.act(environment, "restart").json()["status"] == "running"
    assert api.act(environment, "stop").json()["status"] == "stopped"
    assert containers(docker_engine, environment)[0]["State"]["Running"] is False

    changed = api.call("PATCH", f"/environments/{environment}", {"env": {"A": "c"}}).json()
    assert changed["env"] == {"A": "c"}
    assert containers(docker_engine, environment) == []
    assert api.act(environment, "start").ok
    assert "A=c" in containers(docker_engine, environment)[0]["Config"]["Env"]

    assert api.call("DELETE", f"/environments/{environment}").status_code == 204
    assert containers(docker_engine, environment) == []
    assert api.call("GET", f"/environments/{environment}").status_code == 404


def containers(docker_engine: DockerEngine, environment: str) -> list[dict[str, Any]]:
    """Return what Docker says of the containers of the environment."""
    client = docker_engine.client()
    found = client.containers(all=True, filters={"label": f"vibebox.environment={environment}"})
    return [client.inspect_container(container["Id"]) for container in found]


def test_of_simultaneous_starts_one_wins(
    server: WebServer, api: Api, docker_engine: DockerEngine
) -> None:
    for number in range(5):
        environment = api.create(f"contested-{number}", docker_engine.busybox)
        url = f"{api.url}/environments/{environment}/start"
        headers = {"Authorization": f"Bearer {api.tokens['access_token']}"}

        def start(_: int, url: str = url, headers: dict[str, str] = headers) -> int:
            return requests.post(url, headers=headers, timeout=60).status_code

        with ThreadPoolExecutor(4) as pool:
            answers = Counter(pool.map(start, range(4)))

        # Where all four meet the same worker, the last is beyond the account's share of it.
        assert answers[200] == 1 and answers[409] + answers[429] == 3 and answers[409] >= 1
        assert len(containers(docker_engine, environment)) == 1


def test_nobody_else_sees_it(server: WebServer, api: Api) -> None:
    environment = api.create("mine", "busybox:1")
    with Api(server.url) as other:
        other.register("eve@example.org")
        other.login("eve@example.org")
        for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/start")):
            body = {"name": "stolen"} if method == "PATCH" else None
            answer = other.call(method, f"/environments/{environment}{path}", body)
            assert answer.status_code == 404, method
        assert other.call("GET", "/environments").json()["total"] == 0


@pytest.mark.parametrize("fault", ["stopped", "hung"])
def test_without_an_engine_a_start_changes_nothing(
    api: Api, docker_engine: DockerEngine, fault: str
) -> None:
    environment = api.create("one", docker_engine.busybox)
    docker_engine.stop() if fault == "stopped" else docker_engine.suspend()

    answer = api.act(environment, "start")

    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:vibebox:problem:engine-unreachable"
    assert status(api, environment) == "stopped"
    docker_engine.start() if fault == "stopped" else docker_engine.resume()
    assert api.act(environment, "start").status_code == 200


def test_missing_image_is_named(api: Api) -> None:
    environment = api.create("one", "no/such-image:1", pull="never")

    answer = api.act(environment, "start")

    assert answer.status_code == 422
    assert "no/such-image:1" in answer.json()["detail"]
    shown = api.call("GET", f"/environments/{environment}").json()
    assert shown["status"] == "error"
    assert "no/such-image:1" in shown["error"]


def test_taken_port_is_a_conflict(api: Api, docker_engine: DockerEngine) -> None:
    # Below the ports that the kernel gives to connections: of those one is taken again at once.
    port, raw = free_port(), docker_engine.client()
    binds = raw.create_host_config(port_bindings={80: ("127.0.0.1", port)})
    holder = raw.create_container(
        docker_engine.busybox, ["sleep", "100"], ports=[80], host_config=binds
    )
    raw.start(holder)
    ports = [{"container_port": 80, "host_port": port}]
    environment = api.create("one", docker_engine.busybox, ports=ports)

    answer = api.act(environment, "start")

    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:vibebox:problem:port-taken"
    raw.remove_container(holder, force=True)
    assert api.act(environment, "start").json()["status"] == "running"


@pytest.mark.parametrize("backend", [pytest.param("sqlite", marks=pytest.mark.full), "postgresql"])
def test_four_workers_write_at_once(
    web_server: WebServerFactory, request: pytest.FixtureRequest, backend: str
) -> None:
    env = {}
    if backend == "postgresql":
        env["DATABASE_URL"] = request.getfixturevalue("postgresql").new_database()
    server = web_server(env, workers=4)
    with Api(server.url) as api:
        api.register("ada@example.org")
        api.login("ada@example.org")
        headers = {"Authorization": f"Bearer {api.tokens['access_token']}"}

    def create(number: int) -> int:
        body = {"name": f"env-{number}", "image": "busybox:1"}
        url = f"{server.url}/api/v1/environments"
        return requests.post(url, json=body, headers=headers, timeout=60).status_code

    with ThreadPoolExecutor(16) as pool:
        answers = Counter(pool.map(create, range(CREATED)))

    assert answers == {201: CREATED}
    assert server.metric("vibebox_environments_total", status="stopped") == CREATED


def test_counts_and_gauges_survive_a_killed_worker(server: WebServer, api: Api) -> None:
    def counted() -> float:
        return server.metric("vibebox_http_requests_total", route="/api/v1/environments")

    api.call("GET", "/environments")
    before = counted()
    wait_until(lambda: len(server.worker_pids()) == 2, 10)
    victims = server.worker_pids()[:1]
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    wait_until(
        lambda: len(server.worker_pids()) == 2 and not set(victims) & set(server.worker_pids()), 20
    )

    assert counted() == before
    assert server.metric("vibebox_active_connections") == 0
