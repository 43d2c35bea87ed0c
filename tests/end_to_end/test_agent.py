"""The agent beside a real service: records follow real containers, and nothing is counted twice."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from app.domain.heartbeat import STALE
from tests.backends import http
from tests.backends.agent import COMMAND, HURRIED, Agent
from tests.backends.docker_engine import DockerEngine
from tests.backends.fault_proxy import FaultProxy
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import wait_until
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory
from tests.end_to_end.api import Api
from tests.end_to_end.truth import counted_exits, query, recorded_exits, untruths
from tests.sizes import FULL, size

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(240)]

WITH_EVENTS, WITHOUT_EVENTS = 5.0, 35.0
# On a quiet machine the bars above hold with much to spare; a starved one gets more time.
PATIENCE = 15.0
INSTANCE, ENVIRONMENT = "vibebox.instance", "vibebox.environment"


@pytest.fixture
def server(
    web_server: WebServerFactory, docker_engine: DockerEngine, postgresql: PostgreSQL
) -> Iterator[WebServer]:
    yield web_server(
        {"DOCKER_HOST": docker_engine.host, "DATABASE_URL": postgresql.new_database()},
        workers=2,
    )
    docker_engine.clear()


@pytest.fixture
def make_agent(server: WebServer) -> Iterator[Callable[..., Agent]]:
    """A factory of agents beside the server; its arguments are a name and settings."""
    made: list[Agent] = []

    def make(name: str = "agent", **settings: str) -> Agent:
        made.append(Agent.beside(server, name, size(HURRIED, COMMAND), **settings))
        return made[-1]

    yield make
    for agent in made:
        agent.close()


@pytest.fixture
def agent(make_agent: Callable[..., Agent]) -> Agent:
    return make_agent().start()


@pytest.fixture
def api(server: WebServer) -> Iterator[Api]:
    with Api(server.url) as api:
        api.register("ada@example.org")
        api.login("ada@example.org")
        yield api


@pytest.fixture
def raw(docker_engine: DockerEngine) -> Any:
    """Docker, for who goes behind VibeBox's back."""
    return docker_engine.client()


def running(api: Api, docker_engine: DockerEngine, name: str, **fields: Any) -> str:
    """Return an environment that runs."""
    environment = api.create(name, docker_engine.busybox, **fields)
    assert api.act(environment, "start").json()["status"] == "running"
    return environment


def shown(api: Api, environment: str) -> dict[str, Any]:
    found: dict[str, Any] = api.call("GET", f"/environments/{environment}").json()
    return found


def await_truth(
    server: WebServer,
    api: Api,
    environment: str,
    what: str,
    expected: tuple[str, str | None],
    bar: float,
) -> None:
    """Wait until status and exit reason are as expected and nothing drifts; print the seconds."""
    started = time.monotonic()

    def right() -> bool:
        found = shown(api, environment)
        return (found["status"], found["exit_reason"]) == expected

    wait_until(right, bar + PATIENCE, 0.05, lambda: f"{what}: {shown(api, environment)}")
    seconds = time.monotonic() - started
    wait_until(lambda: server.metric("vibebox_environment_drift") == 0, PATIENCE, 0.1)
    print(f"{what}: right after {seconds:.2f} s (bar {bar:g} s)")


def type_into(docker_engine: DockerEngine, container: str, line: str) -> None:
    """Give the shell of a container a line to read."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(docker_engine.socket_path)
        path = f"/containers/{container}/attach?stdin=1&stream=1"
        headers = "Host: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        connection.sendall(f"POST {path} HTTP/1.1\r\n{headers}\r\n".encode())
        assert b" 101 " in connection.recv(4096)
        connection.sendall(f"{line}\n".encode())


def test_what_happens_behind_its_back_is_recorded_and_counted(
    server: WebServer,
    make_agent: Callable[..., Agent],
    api: Api,
    docker_engine: DockerEngine,
    raw: Any,
) -> None:
    # Docker Engine does not answer for a container that is paused while a process is started in it.
    agent = make_agent(VIBEBOX_SESSIONS_ON_START="false").start()
    first = running(api, docker_engine, "first")
    name = f"vibebox-{first}"

    raw.pause(name)
    await_truth(server, api, first, "pause", ("paused", None), WITH_EVENTS)
    raw.unpause(name)
    await_truth(server, api, first, "unpause", ("running", None), WITH_EVENTS)
    raw.kill(name)
    await_truth(server, api, first, "kill", ("error", "killed"), WITH_EVENTS)
    assert "killed outside VibeBox" in shown(api, first)["error"]
    raw.start(name)
    await_truth(server, api, first, "start", ("running", "killed"), WITH_EVENTS)
    assert api.act(first, "stop").json()["exit_reason"] == "user"
    assert api.act(first, "start").json()["error"] is None
    raw.remove_container(name, force=True)
    await_truth(server, api, first, "rm -f", ("error", "killed"), WITH_EVENTS)
    assert "removed outside VibeBox" in shown(api, first)["error"]
    assert api.act(first, "restart").json()["status"] == "running"
    assert api.call("DELETE", f"/environments/{first}").status_code == 204

    counted = {"killed": 2, "user": 2}
    wait_until(lambda: counted_exits(server) == counted, 10, otherwise=lambda: str(counted))
    assert recorded_exits(server) == counted
    assert server.metric("vibebox_environment_start_duration_seconds_count") == 2
    assert untruths(server, docker_engine) == []
    assert agent.terminate() == 0


def test_containers_end_by_themselves_for_reasons_of_their_own(
    server: WebServer, agent: Agent, api: Api, docker_engine: DockerEngine
) -> None:
    for line, status, reason in (
        ("exec tail /dev/zero", "error", "oom"),
        ("exit 3", "error", "error"),
        ("exit 0", "stopped", "completed"),
    ):
        environment = running(api, docker_engine, reason, memory_limit_mb=32)
        type_into(docker_engine, f"vibebox-{environment}", line)
        await_truth(server, api, environment, line, (status, reason), WITH_EVENTS)

    expected = {"oom": 1, "error": 1, "completed": 1}
    wait_until(lambda: counted_exits(server) == expected, 10)


@pytest.mark.full
def test_without_the_stream_of_events_the_sweep_finds_it(
    server: WebServer,
    make_agent: Callable[..., Agent],
    api: Api,
    docker_engine: DockerEngine,
    raw: Any,
    fault_proxy: Callable[..., FaultProxy],
) -> None:
    proxy = fault_proxy(docker_engine.socket_path)
    make_agent(DOCKER_HOST=proxy.url, VIBEBOX_SESSIONS_ON_START="false").start()
    killed, paused = (running(api, docker_engine, name) for name in ("killed", "paused"))
    removed = running(api, docker_engine, "removed")
    proxy.hole_for = b"/events"

    raw.kill(f"vibebox-{killed}")
    raw.pause(f"vibebox-{paused}")
    raw.remove_container(f"vibebox-{removed}", force=True)

    await_truth(server, api, killed, "kill", ("error", "killed"), WITHOUT_EVENTS)
    await_truth(server, api, paused, "pause", ("paused", None), WITHOUT_EVENTS)
    await_truth(server, api, removed, "rm -f", ("error", "killed"), WITHOUT_EVENTS)
    proxy.heal()


def test_exits_are_counted_once_whoever_dies(
    server: WebServer, agent: Agent, api: Api, docker_engine: DockerEngine, raw: Any
) -> None:
    environments = [running(api, docker_engine, f"env-{number}") for number in range(4)]
    for environment in environments:
        raw.kill(f"vibebox-{environment}")
        agent.kill()
        agent.start(leading=False)

    wait_until(lambda: counted_exits(server) == {"killed": 4}, 45, 0.2)
    agent.kill()
    # What a process leaves that is killed after its commit and before it counted.
    query(
        server,
        "INSERT INTO container_exits VALUES "
        "('c', 'then', 'e', 'oom', 137, now(), true) RETURNING reason",
    )
    query(
        server,
        "INSERT INTO event_counts SELECT directory, family, 'oom', 1 FROM event_counts "
        "RETURNING value",
    )
    agent.start()  # a term begins with a backfill
    assert counted_exits(server) == recorded_exits(server) == {"killed": 4, "oom": 1}


def test_passage_of_a_killed_worker_is_healed(
    server: WebServer, agent: Agent, api: Api, docker_engine: DockerEngine
) -> None:
    environment = running(api, docker_engine, "one")
    docker_engine.suspend()
    stop = threading.Thread(target=lambda: try_to_stop(server, api, environment))
    stop.start()
    wait_until(lambda: shown(api, environment)["status"] == "stopping", 10)
    for pid in server.worker_pids():
        os.kill(pid, signal.SIGKILL)
    started = time.monotonic()
    stop.join()
    docker_engine.resume()

    wait_until(lambda: http.answers(f"{server.url}/health/live"), 30)
    if not FULL:
        age_the_dead(server, environment)
    wait_until(lambda: shown(api, environment)["status"] == "running", 60, 0.2)
    print(f"abandoned transition healed after {time.monotonic() - started:.1f} s (about 25)")
    assert api.act(environment, "stop").json()["status"] == "stopped"


def age_the_dead(server: WebServer, environment: str) -> None:
    """Let who held the environment have been silent for as long as a dead process is."""
    (holder,) = query(
        server,
        f"UPDATE processes SET seen_at = seen_at - interval '{STALE.total_seconds():g} seconds' "
        f"WHERE id = (SELECT held_by FROM environments WHERE id = '{environment}') RETURNING id",
    )
    assert holder


def try_to_stop(server: WebServer, api: Api, environment: str) -> None:
    """Ask for a stop that nobody will answer."""
    headers = {"Authorization": f"Bearer {api.tokens['access_token']}"}
    url = f"{server.url}/api/v1/environments/{environment}/stop"
    with contextlib.suppress(requests.RequestException):
        requests.post(url, headers=headers, timeout=30, proxies={"http": ""})


def test_another_agent_leads_when_the_leader_is_killed_or_frozen(
    server: WebServer, make_agent: Callable[..., Agent], api: Api, docker_engine: DockerEngine
) -> None:
    first, second = make_agent("first").start(), make_agent("second")
    second.start(leading=False)
    second.wait_event("agent started")
    assert ready(server)["agent"] == "up"

    wait_until(lambda: server.metric("vibebox_agent_sweep_age_seconds") < 30, 10)
    assert server.metric("vibebox_agent_leading") == 1
    first.kill()
    started = time.monotonic()
    second.wait_event("leading")
    print(f"killed leader replaced after {time.monotonic() - started:.1f} s (bar 10 s)")

    third = make_agent("third").start(leading=False)
    third.wait_event("agent started")
    second.suspend()
    started = time.monotonic()
    third.wait_event("leading")
    print(f"frozen leader replaced after {time.monotonic() - started:.1f} s (bar 10 s)")
    second.resume()
    second.wait_event("leading no longer")

    assert api.act(running(api, docker_engine, "one"), "stop").ok
    wait_until(lambda: counted_exits(server) == {"user": 1}, 10)
    assert third.terminate() == 0
    second.wait_event("leading", 2, timeout=5)

    # Nobody leads: the gauges do not vanish with who wrote them, and say so.
    second.kill()
    wait_until(lambda: ready(server)["agent"] == "down", 10)
    assert server.metric("vibebox_agent_leading") == 0
    age = server.metric("vibebox_agent_sweep_age_seconds")
    wait_until(lambda: server.metric("vibebox_agent_sweep_age_seconds") > age + 1, 10)
    assert server.metric("vibebox_environment_drift") == 0


def ready(server: WebServer) -> dict[str, str]:
    """Return what readiness says of each check."""
    checks = http.get(f"{server.url}/health/ready").json()["checks"]
    return {name: check["status"] for name, check in checks.items()}


def test_orphans_of_this_vibebox_go_and_nothing_else(
    server: WebServer, agent: Agent, docker_engine: DockerEngine, raw: Any
) -> None:
    agent.kill()  # else it may remove one of them, and die before it says so
    instance = query(server, "SELECT id FROM installation")[0][0]
    labels = {
        "orphan": {ENVIRONMENT: "none", INSTANCE: instance},
        "of-another": {ENVIRONMENT: "none", INSTANCE: "another"},
        "of-nobody": {ENVIRONMENT: "none"},
        "foreign": {},
    }
    for name, carried in labels.items():
        raw.create_container(docker_engine.busybox, name=name, labels=carried)
        raw.create_volume(name, labels=carried)
    agent.start()

    agent.wait_event("orphan removed")
    agent.wait_event("orphaned volume removed")
    names = {name for item in raw.containers(all=True) for name in item["Names"]}
    volumes = {item["Name"] for item in raw.volumes()["Volumes"]}
    kept = set(labels) - {"orphan"}
    assert (names, volumes) == ({f"/{name}" for name in kept}, kept)


def test_expired_environment_ends(
    server: WebServer, agent: Agent, api: Api, docker_engine: DockerEngine, raw: Any
) -> None:
    environment, other = (running(api, docker_engine, name) for name in ("short", "long"))
    past, future = (datetime.now(UTC) + timedelta(hours=hours) for hours in (-1, 1))
    for identity, moment in ((environment, past), (other, future)):
        query(
            server,
            f"UPDATE environments SET expires_at = '{moment.isoformat()}' "
            f"WHERE id = '{identity}' RETURNING id",
        )

    wait_until(lambda: api.call("GET", f"/environments/{environment}").status_code == 404, 20, 0.2)
    assert shown(api, other)["status"] == "running"
    assert len(raw.containers(all=True)) == 1
    audited = query(
        server, "SELECT actor, actor_id FROM audit_entries WHERE action = 'environment.expire'"
    )
    assert audited == [("vibebox", None)]
    wait_until(lambda: counted_exits(server) == {"user": 1}, 10)


@pytest.mark.full
def test_it_outlives_database_and_docker_and_waits_for_them(
    server: WebServer,
    make_agent: Callable[..., Agent],
    api: Api,
    docker_engine: DockerEngine,
    postgresql: PostgreSQL,
    raw: Any,
) -> None:
    environment = running(api, docker_engine, "one")
    postgresql.stop()
    docker_engine.stop()
    agent = make_agent().start(leading=False)
    agent.wait_event("database not reachable at start")
    postgresql.start()
    agent.wait_event("leading")
    agent.wait_event("events: cut off")
    docker_engine.start()
    await_truth(server, api, environment, "dockerd", ("error", "killed"), WITHOUT_EVENTS)
    assert agent.running
    assert agent.events("events: cut off") <= 2
    assert agent.terminate() == 0
