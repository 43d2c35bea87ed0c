"""What environments can do, with real containers, volumes and pulls."""

import io
import json
import os
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from sqlalchemy import text

from app.domain.secrets.values import new_key
from app.storage import Database
from tests.backends.agent import Agent
from tests.backends.docker_engine import DockerEngine
from tests.backends.postgresql import PostgreSQL
from tests.backends.registry import Registry
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory, shared
from tests.end_to_end.api import Api
from tests.end_to_end.test_environments import containers

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]
MIB = 2**20
SECRET = "hunter2-never-seen"


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, docker_engine: DockerEngine, postgresql: PostgreSQL
) -> Iterator[WebServer]:
    env = {
        "DOCKER_HOST": docker_engine.host,
        "DATABASE_URL": postgresql.new_database(),
        "VIBEBOX_STOP_GRACE": "0",
        "VIBEBOX_SECRET_KEYS": new_key(),
    }
    with WebServer(tmp_path_factory.mktemp("features"), env) as server, shared(server):
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
def run(docker_engine: DockerEngine) -> Callable[[str, str], str]:
    """A function that runs a command line in an environment and returns its output."""

    def run_in(environment: str, command: str) -> str:
        client: Any = docker_engine.client()
        made = client.exec_create(f"vibebox-{environment}", ["sh", "-c", command])
        output = client.exec_start(made["Id"])
        assert client.exec_inspect(made["Id"])["ExitCode"] == 0, output
        return str(output.decode())

    return run_in


def start(api: Api, environment: str, query: str = "", **options: Any) -> requests.Response:
    return api.call("POST", f"/environments/{environment}/start{query}", options)


def change(api: Api, environment: str, **fields: Any) -> requests.Response:
    return api.call("PATCH", f"/environments/{environment}", fields)


def limits(docker_engine: DockerEngine, environment: str) -> tuple[float, int]:
    (container,) = containers(docker_engine, environment)
    host = container["HostConfig"]
    assert host["MemorySwap"] == host["Memory"]
    return host["NanoCpus"] / 1e9, host["Memory"] // MIB


def test_pause_and_limits_reach_the_container_at_once(
    api: Api, docker_engine: DockerEngine, run: Callable[[str, str], str]
) -> None:
    environment = api.create("one", docker_engine.busybox, memory_limit_mb=128)
    assert start(api, environment).status_code == 200
    (made,) = containers(docker_engine, environment)

    assert api.act(environment, "pause").json()["status"] == "paused"
    assert containers(docker_engine, environment)[0]["State"]["Paused"] is True
    assert change(api, environment, cpu_limit=0.25).json()["status"] == "paused"
    assert limits(docker_engine, environment) == (0.25, 128)
    assert api.act(environment, "unpause").json()["status"] == "running"

    assert change(api, environment, memory_limit_mb=96).json()["status"] == "running"
    assert limits(docker_engine, environment) == (0.25, 96)
    used = api.call("GET", f"/environments/{environment}/stats").json()
    assert used["memory_limit_bytes"] == 96 * MIB
    assert 0 < used["memory_bytes"] < 96 * MIB and used["pids"] >= 1

    run(environment, "dd if=/dev/zero of=/dev/shm/full bs=1M count=48")
    refused = change(api, environment, memory_limit_mb=16)
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:vibebox:problem:engine-conflict"
    shown = api.call("GET", f"/environments/{environment}").json()
    assert (shown["status"], shown["memory_limit_mb"]) == ("running", 96)
    assert limits(docker_engine, environment) == (0.25, 96)

    assert api.act(environment, "stop").ok
    assert api.call("GET", f"/environments/{environment}/stats").status_code == 409
    assert change(api, environment, memory_limit_mb=64).json()["status"] == "stopped"
    assert limits(docker_engine, environment) == (0.25, 64)
    (same,) = containers(docker_engine, environment)
    assert same["Id"] == made["Id"]


def test_volume_outlives_its_containers(
    api: Api, docker_engine: DockerEngine, run: Callable[[str, str], str]
) -> None:
    environment = api.create("one", docker_engine.busybox)
    start(api, environment)
    run(environment, "echo kept > /workspace/file; echo lost > /tmp/file")
    client: Any = docker_engine.client()
    (volume,) = client.volumes()["Volumes"]
    assert volume["Name"] == f"vibebox-{environment}"
    (container,) = containers(docker_engine, environment)
    assert volume["Labels"] == {
        name: container["Config"]["Labels"][name]
        for name in ("vibebox.environment", "vibebox.instance")
    }

    api.act(environment, "stop")
    assert change(api, environment, env={"A": "b"}).ok
    start(api, environment)
    assert run(environment, "cat /workspace/file; ls /tmp") == "kept\n"

    client.remove_container(f"vibebox-{environment}", force=True, v=True)
    assert api.act(environment, "restart").json()["status"] == "running"
    assert run(environment, "cat /workspace/file") == "kept\n"

    assert api.call("DELETE", f"/environments/{environment}").status_code == 204
    assert client.volumes()["Volumes"] in ([], None)


def test_secrets_are_seen_inside_and_nowhere_else(
    api: Api, server: WebServer, docker_engine: DockerEngine, run: Callable[[str, str], str]
) -> None:
    environment = api.create("one", docker_engine.busybox, secrets={"TOKEN": SECRET})
    answers = [start(api, environment), change(api, environment, name="two")]
    answers += [
        api.call("GET", f"/environments{path}") for path in ("", f"/{environment}", "/none")
    ]
    answers.append(change(api, environment, env={"TOKEN": "x"}))

    assert run(environment, "echo $TOKEN") == f"{SECRET}\n"
    assert answers[0].json()["secret_names"] == ["TOKEN"]
    assert not any(SECRET in answer.text for answer in answers)
    assert SECRET not in server.log.read_text()
    dump = dumped(server.env["DATABASE_URL"])
    assert environment in dump and SECRET not in dump


def dumped(url: str) -> str:
    """Return every row of every table as text."""
    database = Database(url)
    try:
        with database.reading() as session:
            tables = session.scalars(
                text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            ).all()
            rows = [
                session.scalars(text(f'SELECT "{table}"::text FROM "{table}"')).all()
                for table in tables
            ]
    finally:
        database.dispose()
    return "\n".join(row for found in rows for row in found)


@pytest.fixture
def image(docker_engine: DockerEngine, registry: Registry) -> str:
    """An image of the registry with a layer of 8 MiB that the engine does not hold."""
    client: Any = docker_engine.client()
    container = client.create_container(docker_engine.busybox)["Id"]
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("filler")
        entry.size = 8 * MIB
        tar.addfile(entry, io.BytesIO(os.urandom(entry.size)))
    client.put_archive(container, "/", archive.getvalue())
    client.commit(container, "filled", "1")
    client.remove_container(container)
    name = registry.push(client, "filled:1", "tools/filled", "1")
    client.remove_image("filled:1")
    return name


@contextmanager
def working(server: WebServer) -> Iterator[None]:
    """Let an agent work beside the service."""
    agent = Agent.beside(server).start()
    try:
        yield
    finally:
        agent.close()


def test_start_pulls_its_image(
    api: Api, server: WebServer, docker_engine: DockerEngine, image: str
) -> None:
    environment = api.create("one", image)
    assert start(api, environment, pull="never").status_code == 422

    begun = time.monotonic()
    accepted = start(api, environment)
    assert time.monotonic() - begun < 10
    assert accepted.status_code == 202
    assert accepted.headers["Location"] == f"/api/v1/environments/{environment}"
    told: list[tuple[str, Any]] = []
    events = threading.Thread(target=lambda: told.extend(follow(api, accepted.json())))
    events.start()
    with working(server):
        events.join(60)

    assert told[-1] == ("status", {"status": "running", "error": None})
    progress = [data for name, data in told if name == "pull"]
    assert progress[0]["percent"] == 0.0 and progress[-1]["percent"] == 100.0
    assert progress[-1]["bytes_done"] == progress[-1]["bytes_total"] >= 8 * MIB
    assert {layer["status"] for layer in progress[-1]["layers"]} <= {
        "Pull complete",
        "Already exists",
    }
    assert containers(docker_engine, environment)[0]["State"]["Running"] is True


def follow(api: Api, starting: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Read the events of a start to their end."""
    origin = api.url.removesuffix("/api/v1")
    headers = {"Authorization": f"Bearer {api.tokens['access_token']}"}
    with requests.get(
        f"{origin}{starting['events_url']}", headers=headers, stream=True, timeout=60
    ) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        name = ""
        for line in response.iter_lines(decode_unicode=True):
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))


def test_start_waits_for_its_end(
    api: Api, server: WebServer, image: str, registry: Registry
) -> None:
    good = api.create("good", image)
    bad = api.create("bad", f"{registry.address}/tools/none:1")
    assert start(api, good, "?wait=0.5").status_code == 202
    assert api.act(good, "stop").json()["status"] == "stopped"

    with working(server):
        assert start(api, good, "?wait=60").json()["status"] == "running"
        failed = start(api, bad, "?wait=60")

    assert failed.status_code == 422
    assert failed.json()["type"] == "urn:vibebox:problem:image-pull-failed"
    shown = api.call("GET", f"/environments/{bad}").json()
    assert (shown["status"], shown["error"]) == ("error", failed.json()["detail"])


@pytest.mark.full
def test_open_streams_leave_threads_for_others(web_server: WebServerFactory) -> None:
    server = web_server({}, workers=1, threads=4)
    with Api(server.url) as other:
        other.register("ada@example.org")
        other.login("ada@example.org")
        environment = other.create("one", "busybox:1")
        url = f"{other.url}/environments/{environment}/events?follow=true"
        headers = {"Authorization": f"Bearer {other.tokens['access_token']}"}
        with requests.get(url, headers=headers, stream=True, timeout=30) as first:
            assert first.status_code == 200
            assert next(first.iter_lines()) == b"event: status"
            refused = requests.get(url, headers=headers, timeout=30)
            assert refused.status_code == 429 and refused.headers["Retry-After"]
            assert other.call("GET", "/environments").ok
        begun = time.monotonic()
        server.terminate()
        assert time.monotonic() - begun < 25
