"""Readiness tells the truth in time, whatever its dependencies do."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest

from tests.backends import http
from tests.backends.docker_engine import DockerEngine
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import wait_until
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory

pytestmark = pytest.mark.end_to_end

WORKERS = 2
Service = PostgreSQL | DockerEngine


@pytest.fixture(scope="module")
def started(
    tmp_path_factory: pytest.TempPathFactory, postgresql: PostgreSQL, docker_engine: DockerEngine
) -> Iterator[WebServer]:
    env = {"DATABASE_URL": postgresql.new_database(), "DOCKER_HOST": docker_engine.host}
    with WebServer(tmp_path_factory.mktemp("readiness"), env) as server:
        # Each worker's own first checks: from then on it is no longer starting.
        wait_until(lambda: checks_run(server) >= WORKERS, 20)
        yield server


@pytest.fixture
def server(started: WebServer) -> WebServer:
    """The module's server, well again after whatever the test before did to its services."""
    wait_until(lambda: all(probe(started)[0] == 200 for _ in range(4)), 20)
    return started


def checks_run(server: WebServer) -> float:
    return server.metric("vibebox_health_check_duration_seconds_count", check="docker")


def probe(server: WebServer) -> tuple[int, dict[str, Any], float]:
    """Return status, body and seconds of GET /health/ready."""
    started = time.perf_counter()
    response = http.get(f"{server.url}/health/ready")
    return response.status_code, response.json(), time.perf_counter() - started


def up(body: dict[str, Any]) -> dict[str, str]:
    return {name: check["status"] for name, check in body["checks"].items()}


def test_ready_when_both_answer(server: WebServer) -> None:
    status, body, _ = probe(server)

    assert (status, body["status"]) == (200, "ready")
    assert up(body) == {"database": "up", "docker": "up", "agent": "down", "disk": "up"}


@pytest.mark.parametrize("fault", ["hung", "stopped"])
def test_unavailable_in_time_and_well_again(
    server: WebServer, postgresql: PostgreSQL, docker_engine: DockerEngine, fault: str
) -> None:
    """Each of the two alone is in test_checks_tell.py."""
    services: tuple[Service, ...] = (postgresql, docker_engine)
    probe(server)
    for service in services:
        service.suspend() if fault == "hung" else service.stop()

    status, body, seconds = probe(server)

    print(f"{fault}: {status} in {seconds * 1000:.0f} ms: {body}")
    assert (status, body["status"]) == (503, "unavailable")
    assert up(body) == {"database": "down", "docker": "down", "agent": "down", "disk": "up"}
    assert seconds < 1.5  # under 1 s on a quiet machine; a hung driver would take 2 s or more
    assert http.get(f"{server.url}/health/live").status_code == 200
    metrics = http.get(f"{server.url}/health/metrics")
    assert metrics.status_code == 200
    assert "vibebox_http_requests_total{" in metrics.text
    for service in services:
        service.resume() if fault == "hung" else service.start()
    wait_until(lambda: probe(server)[0] == 200, 20)


def test_error_text_stays_in_the_log(server: WebServer, postgresql: PostgreSQL) -> None:
    postgresql.stop()
    try:
        _, body, _ = probe(server)
    finally:
        postgresql.start()

    assert set(body) == {"status", "timestamp", "checks"}
    assert all(set(check) == {"status", "latency_ms"} for check in body["checks"].values())
    logged = [line for line in server.log_lines() if line.get("event") == "health check failed"]
    assert any("refused" in line["why"] for line in logged)


def test_a_hundred_probes_of_hung_dependencies_leave_no_threads_behind(
    server: WebServer, postgresql: PostgreSQL, docker_engine: DockerEngine
) -> None:
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda _: probe(server), range(200)))  # fills the request threads
        before = threads(server)
        postgresql.suspend()
        docker_engine.suspend()
        answers = list(pool.map(lambda _: probe(server), range(100)))
        after = threads(server)
        postgresql.resume()
        docker_engine.resume()

    assert {status for status, _, _ in answers} == {503}
    assert all(after[pid] - before[pid] <= 2 for pid in before), (before, after)


def threads(server: WebServer) -> dict[int, int]:
    return {pid: psutil.Process(pid).num_threads() for pid in server.worker_pids()}


def test_without_docker_required_the_service_is_ready(
    web_server: WebServerFactory, postgresql: PostgreSQL
) -> None:
    server = web_server(
        {"DATABASE_URL": postgresql.new_database(), "VIBEBOX_DOCKER_REQUIRED": "false"}
    )

    status, body, _ = probe(server)

    assert (status, body["status"]) == (200, "ready")
    assert up(body) == {"database": "up", "docker": "down", "agent": "down", "disk": "up"}


def test_checks_show_in_the_metrics_without_any_probe(
    server: WebServer, docker_engine: DockerEngine
) -> None:
    name = "vibebox_health_check_up"
    wait_until(lambda: server.metric(name, check="docker", required="true") == 1, 10)
    assert server.metric(name, check="database", required="true") == 1


def test_metrics_stay_readable_without_database_and_docker(
    server: WebServer, postgresql: PostgreSQL, docker_engine: DockerEngine
) -> None:
    assert server.metric("vibebox_environments_total") == 0
    left_out = frozenset({"collector": "inventory"}.items())
    before = server.metrics()["vibebox_metrics_collect_errors_total", left_out]
    postgresql.suspend()
    docker_engine.suspend()

    started = time.perf_counter()
    metrics = server.metrics()
    seconds = time.perf_counter() - started

    assert seconds < 3
    names = {name for name, _ in metrics}
    assert "vibebox_http_requests_total" in names
    assert "vibebox_environments_total" not in names
    assert metrics["vibebox_metrics_collect_errors_total", left_out] == before + 1


def test_a_server_starts_before_its_database(
    web_server: WebServerFactory, postgresql: PostgreSQL, docker_engine: DockerEngine
) -> None:
    server = web_server(
        {"DATABASE_URL": postgresql.new_database(), "DOCKER_HOST": docker_engine.host},
        migrate=False,
        start=False,
    )
    server.migrate()
    postgresql.stop()
    server.start()

    status, body, _ = probe(server)
    assert (status, body["status"]) == (503, "starting")

    postgresql.start()
    wait_until(lambda: probe(server)[0] == 200, 20)
