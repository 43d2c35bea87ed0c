"""The whole stack, by Compose: VibeBox from the shipped Dockerfile, among its real neighbours."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import requests

from app._version import __version__
from tests.backends import http
from tests.backends.docker_engine import DockerEngine
from tests.backends.programs import wait_until
from tests.conftest import require
from tests.deploy import stack
from tests.deploy.guide import commands, queries
from tests.deploy.stack import Stack
from tests.end_to_end.api import PASSWORD, Api
from tests.monitoring.test_runbooks import commands as runbook_commands

pytestmark = [pytest.mark.full, pytest.mark.end_to_end, pytest.mark.timeout(500)]
REFUSED = 7


class Alone(NamedTuple):
    """What was seen of the monitoring alone."""

    containers: set[str]
    rule_groups: int
    log: str
    password: str


MAY_BE_EMPTY = ("ALERTS", "slo_budget")
"""What has no series while all is well, or before there is any history."""


@pytest.fixture(scope="module")
def alone(docker_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Alone:
    """What Prometheus and Grafana did that were started alone, on a fresh clone; ended again."""
    require("Compose stack", stack.missing())
    stack.import_images(docker_engine.client())
    started = Stack(docker_engine, tmp_path_factory.mktemp("alone"))
    try:
        started.start_alone("prometheus", "grafana")
        # A second start keeps the password of the first.
        started.compose("restart", "--timeout", "0", "grafana")
        return Alone(
            set(started.states()),
            len(
                http.get(f"{started.url('PROMETHEUS_PORT')}/api/v1/rules").json()["data"]["groups"]
            ),
            started.compose("logs", "--no-color", "grafana"),
            started.run_block("docker exec vibebox-grafana cat /var/lib/grafana/password"),
        )
    finally:
        started.stop()


def test_prometheus_and_grafana_start_alone_on_a_fresh_clone(alone: Alone) -> None:
    assert alone.containers == {"vibebox-prometheus", "vibebox-grafana"}
    assert alone.rule_groups > 0
    (told,) = re.findall(r"the password of admin is (\w+)", alone.log)
    assert (told, len(told)) == (alone.password, 36)


@pytest.fixture(scope="module")
def running(
    alone: Alone, docker_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The stack, up and healthy."""
    started = Stack(docker_engine, tmp_path_factory.mktemp("stack"))
    try:
        started.start()
        yield started
    finally:
        started.stop()


def test_image_says_what_it_is_and_what_it_is_made_of(
    running: Stack, docker_engine: DockerEngine
) -> None:
    client: Any = docker_engine.client()
    image = client.inspect_image("vibebox")["Config"]
    docker_engine.close_clients()
    assert image["User"] == "10001:10001"
    assert image["Labels"]["org.opencontainers.image.version"] == __version__
    show = "docker exec vibebox-backend cat /usr/share/doc/vibebox/sbom.cdx.json"
    sbom = json.loads(running.run_block(show))
    assert sbom["metadata"]["component"]["version"] == __version__
    names = {part["name"].lower() for part in sbom["components"]}
    assert {"flask", "gunicorn", "redis"} <= names
    assert not {"cyclonedx-bom", "pip", "setuptools"} & names


def log_in_wrongly(url: str) -> int:
    """Try a login that is refused; return the status."""
    body = {"email": "nobody@example.org", "password": "not the password"}
    with requests.Session() as session:
        session.trust_env = False
        return session.post(f"{url}/api/v1/auth/login", json=body, timeout=30).status_code


def refused_so_far(running: Stack) -> float:
    """Return how many sign-ins with a password the service has refused."""
    scrape = http.get(
        f"{running.url('PORT')}/health/metrics",
        headers={"Authorization": f"Bearer {running.metrics_token}"},
    ).text
    series = 'vibebox_auth_attempts_total{method="password",status="failure"} '
    return sum(float(line.split()[-1]) for line in scrape.splitlines() if line.startswith(series))


def test_prometheus_counts_what_was_sent(running: Stack) -> None:
    backend = running.url("PORT")
    counted = 'sum(vibebox_auth_attempts_total{method="password",status="failure"})'
    # By its name in the file, with the token; without it nobody may read.
    running.wait_for('up{job="vibebox-backend",instance="backend:3000"}', lambda up: up == 1)
    # Of the service itself: what another test has just sent may not be scraped yet.
    before = refused_so_far(running)
    assert [log_in_wrongly(backend) for _ in range(REFUSED)] == [401] * REFUSED
    assert http.get(f"{backend}/health/metrics").status_code == 403
    assert running.wait_for(counted, lambda value: value >= before + REFUSED) == before + REFUSED


def test_scrape_has_what_only_ours_has(running: Stack) -> None:
    """The file system is read-only, and there is no /tmp: nothing in a scrape may need either."""
    log_in_wrongly(running.url("PORT"))
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    scrape = http.get(
        f"{running.url('PORT')}/health/metrics",
        headers={"Authorization": f"Bearer {running.metrics_token}", **accept},
    ).text
    assert ' # {request_id="' in scrape
    assert 'vibebox_metrics_collect_errors_total{collector="format"} 0.0' in scrape
    assert "metrics file format" not in running.compose("logs", "--no-color", "backend")


def test_neighbours_find_each_other(running: Stack) -> None:
    running.run_block("docker exec vibebox-agent vibebox agent --check")
    # The socket and the network lead to database, Docker Engine and agent.
    ready = http.get(f"{running.url('PORT')}/health/ready").json()
    assert {check["status"] for check in ready["checks"].values()} == {"up"}
    address = f"{running.url('PROMETHEUS_PORT')}/api/v1"

    def alertmanagers() -> list[str]:
        known = http.get(f"{address}/alertmanagers").json()["data"]["activeAlertmanagers"]
        return [one["url"] for one in known]

    # Prometheus looks for them some seconds after its start.
    wait_until(lambda: alertmanagers() == ["http://alertmanager:9093/api/v2/alerts"], 60)
    groups = http.get(f"{address}/rules").json()["data"]["groups"]
    assert {rule["health"] for group in groups for rule in group["rules"]} <= {"ok", "unknown"}


def test_profile_of_signals_comes_and_goes(running: Stack) -> None:
    """On a stack that runs: traces come to Jaeger, Grafana is given its sources."""

    def inside(container: str, command: str) -> str:
        return running.run_block(f"docker exec vibebox-{container} {command}")

    def traces() -> list[str]:
        url = "http://127.0.0.1:16686/api/traces?service=vibebox&limit=1000"
        found = json.loads(inside("jaeger", f"wget -Y off -q -O - '{url}'"))["data"]
        return [one["traceID"] for one in found]

    def lines() -> list[str]:
        url = "http://127.0.0.1:3100/select/logsql/query?query=_msg:=request"
        found = inside("loki", f"wget -Y off -q -O - '{url}'").splitlines()
        return [json.loads(one)["request_id"] for one in found]

    sources = "ls /etc/grafana/provisioning/datasources"
    asks = "import requests; print(requests.get('http://collector:4318/v1/traces').status_code)"
    with running.signals():
        ids = set()

        def one_came() -> bool:
            answer = http.get(f"{running.url('PORT')}/api/v1/environments")
            ids.add(answer.headers["X-Request-ID"])
            return bool(ids & set(traces()))

        wait_until(one_came, 60, 1, otherwise=running.report)
        wait_until(lambda: bool(ids & set(lines())), 60, 1, otherwise=running.report)
        # Of both, whichever exports; each by POST only.
        assert [inside(one, f'python -c "{asks}"').strip() for one in ("backend", "agent")] == [
            "405"
        ] * 2
        assert inside("grafana", sources).split() == ["jaeger.yml", "loki.yml", "prometheus.yml"]
        kept = "cat /var/lib/grafana/dashboards/VibeBox/slo.json"
        assert "vibebox-jaeger" in inside("grafana", kept)
        teams = "head -1 /var/lib/grafana/dashboards/VibeBox/teams/README.md"
        assert inside("grafana", teams) == "# Dashboards of the teams\n"
    assert not {f"vibebox-{name}" for name in stack.SIGNALS} & set(running.states())
    wait_until(lambda: http.answers(f"{running.url('PORT')}/health/ready"), 60)


def test_image_of_the_dockerfile_is_confined(running: Stack) -> None:
    inside = "id -u; touch /srv/vibebox/x 2>&1; command -v pip"
    said = running.run_block(f"docker exec vibebox-backend sh -c '{inside}' || true")
    assert said.startswith("10001\n")
    assert "Read-only file system" in said
    assert "/pip" not in said


def test_queries_of_the_guide_have_data(running: Stack) -> None:
    wanted = [query for query in queries() if not any(name in query for name in MAY_BE_EMPTY)]
    empty: list[str] = []

    def answered() -> bool:
        empty[:] = [query for query in wanted if not running.query(query)]
        return not empty

    wait_until(answered, 90, 1, otherwise=lambda: f"no series: {empty}")


def test_commands_of_the_runbooks_work(running: Stack) -> None:
    """As they stand there, in an order in which each finds what it needs; the last start all."""
    typed = [
        one
        for one in runbook_commands()
        if one.startswith(("docker compose ", "curl "))
        # The one names a process; the other needs settings, and its alert does too.
        and not re.search(r"PID|vibebox probe", one)
    ]
    stopping = [one for one in typed if " stop " in one or " restart " in one]
    starting = [one for one in typed if " up -d " in one]
    assert starting and stopping
    for command in [
        *(one for one in typed if one not in stopping + starting),
        *stopping,
        *starting,
    ]:
        print(command, running.run_block(command))
    wait_until(lambda: http.answers(f"{running.url('PORT')}/health/ready"), 60)


def test_commands_of_the_guide_work_and_the_backup_brings_back_what_was_lost(
    running: Stack,
) -> None:
    with Api(running.url("PORT")) as api:
        assert api.register("kept@example.org").status_code == 403
        create = "vibebox accounts create kept@example.org --operator --password-stdin"
        running.run_block(f"echo '{PASSWORD}' | docker exec -i vibebox-backend {create}")
        for name, block in commands().items():
            if "pg_restore" in block:
                # What the backup holds is lost.
                lose = 'psql --username=vibebox vibebox --command="TRUNCATE users CASCADE"'
                running.run_block(f"docker exec vibebox-postgres {lose}")
                assert api.login("kept@example.org").status_code == 401
            print(name, running.run_block(block))
        wait_until(lambda: http.answers(f"{running.url('PORT')}/health/ready"), 60)
        assert api.login("kept@example.org").status_code == 200
    running.wait_for('count_over_time(up{job="vibebox-backend"}[1h])', lambda scrapes: scrapes > 1)
