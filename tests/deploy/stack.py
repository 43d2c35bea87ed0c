"""The stack of docker-compose.yml, started by Compose on an engine and ports of its own."""

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests
import yaml

from app._version import __version__
from tests.backends import http, signal_stores, stack_images
from tests.backends.docker_engine import DockerEngine
from tests.backends.programs import ServiceError, free_port, wait_until

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
BASE = "python:3.11-slim-bookworm"
TIMEOUT = 240.0
PORTS = ("PORT", "PROMETHEUS_PORT", "ALERTMANAGER_PORT", "GRAFANA_PORT")
# Debian has no such plugin.
_PLUGIN = """docker() {{
    if [ "$1" = compose ]; then shift; {compose} "$@"; else command docker "$@"; fi
}}
"""
STARTED = ("backend", "agent", "prometheus", "alertmanager")
"""And what they depend on; Grafana alone is no Debian package."""
SIGNALS = ("collector", "jaeger", "loki")
PROFILE = {
    "COMPOSE_PROFILES": "signals",
    "GRAFANA_SET": "signals",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
    "VIBEBOX_TRACE_STORE_URL": "http://jaeger:16686",
    # What stands for Loki is asked in its own language.
    "VIBEBOX_LOG_STORE_URL": "http://loki:3100",
    "VIBEBOX_LOG_STORE_KIND": "victorialogs",
}
"""What `make up PROFILE=signals` sets (tests/test_makefile.py)."""


def missing() -> str | None:
    """Return in words what this host lacks to start the stack, or None."""
    if shutil.which("docker-compose") is None:
        return "docker-compose is not installed"
    return DockerEngine.installed() or stack_images.missing_programs()


def images_of_the_file() -> dict[str, str]:
    """Return the image of each service."""
    services: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())["services"]
    return {name: service["image"] for name, service in services.items()}


def import_images(client: docker.APIClient) -> None:
    """Make what the file pulls, and the base of what it builds."""
    # Hundreds of megabytes each, on a disk that others write to as well.
    client.timeout = round(TIMEOUT)
    names = images_of_the_file()
    stack_images.import_python(client, BASE)
    stack_images.import_grafana(client, names["grafana"])
    stack_images.import_postgres(client, names["postgres"])
    # The one that knows the whole of the shipped configuration.
    newer = str(signal_stores.program("prometheus"))
    stack_images.import_monitor(client, names["prometheus"], newer, "prometheus")
    stack_images.import_monitor(
        client, names["alertmanager"], "prometheus-alertmanager", "alertmanager"
    )
    stack_images.import_collector(client, names["collector"])
    stack_images.import_jaeger(client, names["jaeger"])
    stack_images.import_loki(client, names["loki"])


class Stack:
    """The running stack; `url` of a service is where it is published."""

    def __init__(self, engine: DockerEngine, directory: Path) -> None:
        self._engine = engine
        self._directory = directory
        # Commands of the guide name files of a clone.
        (self._directory / "monitoring").symlink_to(ROOT / "monitoring")
        self._ports = {name: free_port() for name in PORTS}
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "DOCKER_HOST": engine.host,
            "DOCKER_SOCKET": engine.socket_path,
            "SECRETS_DIR": str(directory / "secrets"),
            # The engine builds, not BuildKit, which would ask a registry for the base.
            "COMPOSE_DOCKER_CLI_BUILD": "0",
            "IMAGE_VERSION": __version__,
            # Without CAP_SYS_RESOURCE, an engine gives no more than it has itself.
            "NOFILE": str(min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])),
            **{name: str(port) for name, port in self._ports.items()},
        }
        self._compose = ["docker-compose", "--file", str(FILE), "--project-name", "vibebox"]
        self._compose += ["--env-file", str(directory / ".env")]

    @property
    def metrics_token(self) -> str:
        """What Prometheus sends as its credentials."""
        return (self._directory / "secrets/prometheus/metrics_token").read_text().strip()

    def start(self) -> None:
        """Do what `make up` does, but for Grafana, and wait until all is healthy."""
        script = ROOT / "scripts" / "compose-secrets"
        self._run([str(script), str(self._directory)])
        # One image serves three services; `up --build` would ask for it three times.
        self.compose("build", "migrate")
        self.compose("up", "--detach", *STARTED)
        wait_until(self._all_healthy, TIMEOUT, 0.5, otherwise=self.report)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Do what `make up PROFILE=signals` does, and what `make up` does after it."""
        self._environment |= PROFILE
        try:
            self.compose("up", "--detach", *STARTED, "grafana", *SIGNALS)
            wait_until(self._all_healthy, TIMEOUT, 0.5, otherwise=self.report)
            yield
        finally:
            self.compose("--profile", "signals", "rm", "--stop", "--force", "grafana", *SIGNALS)
            for name in PROFILE:
                del self._environment[name]
            self.compose("up", "--detach", *STARTED)
            wait_until(self._all_healthy, TIMEOUT, 0.5, otherwise=self.report)

    def start_alone(self, *services: str) -> None:
        """Start services as on a fresh clone, where nothing is written yet."""
        (self._directory / ".env").touch()
        shutil.copytree(ROOT / "secrets", self._directory / "secrets")
        self.compose("up", "--detach", *services)
        wait_until(self._all_healthy, TIMEOUT, 0.5, otherwise=self.report)

    def compose(self, *arguments: str) -> str:
        """Run Compose and return what it printed. Raises: ServiceError."""
        return self._run([*self._compose, *arguments])

    def _run(self, command: list[str]) -> str:
        ran = subprocess.run(
            command,
            env=self._environment,
            cwd=self._directory,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT,
        )
        if ran.returncode:
            raise ServiceError(f"{' '.join(command)}:\n{ran.stdout[-4000:]}{ran.stderr[-4000:]}")
        return ran.stdout

    def states(self) -> dict[str, str]:
        """Return the health of each container, or its status where it has no health check."""
        client = self._engine.client()
        found = {}
        for container in client.containers(all=True, filters={"name": "vibebox-"}):
            state = client.inspect_container(container["Id"])["State"]
            name = container["Names"][0].lstrip("/")
            found[name] = state.get("Health", {}).get("Status") or state["Status"]
        self._engine.close_clients()
        return found

    def _all_healthy(self) -> bool:
        try:
            states = self.states()
        except (docker.errors.DockerException, requests.RequestException):
            return False  # an engine that starts all of this may be late
        ended = {states.pop(name, "exited") for name in ("vibebox-migrate", "vibebox-preflight")}
        # Docker looks at the agent for the first time after half a minute: a test asks it itself.
        agent = states.pop("vibebox-agent", "healthy")
        # Nothing in its image could ask it.
        collector = states.pop("vibebox-collector", "running")
        well = set(states.values()) == {"healthy"} and agent in ("starting", "healthy")
        return ended == {"exited"} and well and collector == "running"

    def report(self) -> str:
        """Return the states and the ends of the logs, for the message of a failure."""
        return f"{self.states()}\n{self.compose('logs', '--tail', '20')}"

    def url(self, port: str) -> str:
        """Return where the port of that name is published."""
        return f"http://127.0.0.1:{self._ports[port]}"

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Ask the stack's Prometheus; return labels and value of each series."""
        answer = http.get(f"{self.url('PROMETHEUS_PORT')}/api/v1/query", {"query": expression})
        result = answer.json()["data"]["result"]
        return [(series["metric"], float(series["value"][1])) for series in result]

    def wait_for(self, expression: str, holds: Callable[[float], bool]) -> float:
        """Wait until the query has one series, whose value satisfies `holds`; return the value."""
        found: list[tuple[dict[str, str], float]] = []

        def satisfied() -> bool:
            found[:] = self.query(expression)
            return len(found) == 1 and holds(found[0][1])

        wait_until(satisfied, 60, 0.2, otherwise=lambda: f"{expression}: {found}; {self.report()}")
        return found[0][1]

    def run_block(self, block: str) -> str:
        """Run commands of the guide, as a shell does that stops at the first that fails."""
        for port, name in ((3000, "PORT"), (9090, "PROMETHEUS_PORT"), (9093, "ALERTMANAGER_PORT")):
            block = block.replace(f"localhost:{port}", f"localhost:{self._ports[name]}")
        return self._run(["bash", "-euc", _PLUGIN.format(compose=" ".join(self._compose)) + block])

    def stop(self) -> None:
        """Do what `make down` does, and take the data along."""
        self.compose("down", "--volumes", "--timeout", "0")
