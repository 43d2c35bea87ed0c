"""Each fault of agent, database, engine and disk is told by readiness, gauge and log, in time."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet

from tests.backends import http, scratch
from tests.backends.agent import Agent
from tests.backends.docker_engine import DockerEngine
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import ServiceError, wait_until
from tests.backends.web import WebServer
from tests.conftest import require, shared
from tests.end_to_end import harms
from tests.end_to_end.harms import Undo

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]

INTERVAL = 1.0
"""Seconds between the service's own checks here: 15 by default, by which its alerts wait longer."""
LEASE = 10.0
"""Seconds until an agent that is gone is missed: its lease, and a check."""
SOON = 8.0
"""Seconds for all other faults, on a machine that has other work too."""
UP = "vibebox_health_check_up"


@dataclass
class Service:
    """A whole VibeBox with services of its own, which may be harmed."""

    directory: Path
    database: PostgreSQL
    engine: DockerEngine
    server: WebServer
    agent: Agent

    @property
    def metrics_disk(self) -> Path:
        return self.directory / "metrics-disk"

    def checks(self) -> tuple[int, dict[str, str]]:
        response = http.get(f"{self.server.url}/health/ready")
        found: dict[str, Any] = response.json()["checks"]
        return response.status_code, {name: check["status"] for name, check in found.items()}

    def gauges(self) -> dict[str, float]:
        return {
            dict(labels)["check"]: value
            for (name, labels), value in self.server.metrics().items()
            if name == UP
        }

    def is_well(self) -> bool:
        """Whether both workers say so, as far as can be told."""
        return all(
            status == 200 and set(checks.values()) == {"up"}
            for status, checks in (self.checks() for _ in range(4))
        )


@dataclass(frozen=True)
class Fault:
    """What is done, which checks tell it (with what in the log), and how soon."""

    harm: Callable[[Service], Undo]
    told: tuple[str, ...]
    reason: str
    ready: bool = False
    within: float = SOON


DATABASE = ("database", "agent")
"""Without the database nobody knows whether an agent leads."""
FAULTS = (
    Fault(harms.agent_killed, ("agent",), "No agent is at work", ready=True, within=LEASE),
    Fault(harms.agent_hangs, ("agent",), "No agent is at work", ready=True, within=LEASE),
    Fault(harms.database_gone, DATABASE, "Nothing answers as PostgreSQL"),
    Fault(harms.database_hangs, DATABASE, "DeadlineExceededError"),
    Fault(harms.database_read_only, DATABASE, "PostgreSQL takes no changes", within=LEASE),
    Fault(harms.database_full, ("database",), "PostgreSQL's disk is full"),
    Fault(harms.engine_gone, ("docker",), "EngineUnreachableError"),
    Fault(harms.engine_hangs, ("docker",), "DeadlineExceededError"),
    Fault(harms.engine_only_answers, ("docker",), "EngineTimeoutError", within=LEASE),
    Fault(harms.engine_full, ("docker",), "EngineFullError"),
    Fault(harms.metrics_disk_full, ("disk",), "PROMETHEUS_MULTIPROC_DIR", ready=True),
)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    for name, missing in (
        ("PostgreSQL", PostgreSQL.installed()),
        ("Docker Engine", DockerEngine.installed()),
    ):
        require(name, missing)
    with ExitStack() as stack:
        directory = scratch.new_directory("checks")
        stack.callback(scratch.remove_directory, directory)
        try:
            scratch.mount_small(directory / "metrics-disk", "8m")
            database = stack.enter_context(shared(PostgreSQL(disk=100)))
            engine = stack.enter_context(shared(DockerEngine(disk=64)))
        except ServiceError as error:
            require("disks to fill", str(error))
            raise
        settings = {
            "DATABASE_URL": database.url,
            "DOCKER_HOST": engine.host,
            "PROMETHEUS_MULTIPROC_DIR": str(directory / "metrics-disk" / "metrics"),
            "VIBEBOX_HEALTH_CHECK_INTERVAL": str(INTERVAL),
        }
        server = stack.enter_context(WebServer(directory, settings))
        agent = stack.enter_context(shared(Agent.beside(server).start()))
        yield Service(directory, database, engine, server, agent)


def _parameter(fault: Fault) -> ParameterSet:
    # What hangs is missed as soon as what is gone; the gate has little time.
    hung = (harms.agent_hangs, harms.database_hangs, harms.engine_hangs)
    marks = [pytest.mark.full] if fault.harm in hung else []
    return pytest.param(fault, id=fault.harm.__name__, marks=marks)


@pytest.mark.parametrize("fault", [_parameter(fault) for fault in FAULTS])
def test_fault_is_told_and_its_end_too(service: Service, fault: Fault) -> None:
    wait_until(service.is_well, 30, 0.2, otherwise=lambda: f"not well: {service.checks()}")
    expected = {
        name: "down" if name in fault.told else "up"
        for name in ("database", "docker", "agent", "disk")
    }
    before = len(service.server.log_lines())
    undo = fault.harm(service)
    try:
        wait_until(
            lambda: (
                [service.checks() for _ in range(4)]
                == [(200 if fault.ready else 503, expected)] * 4
            ),
            fault.within,
            0.1,
            otherwise=lambda: f"readiness says {service.checks()}",
        )
        wait_until(
            lambda: service.gauges() == {name: status == "up" for name, status in expected.items()},
            fault.within,
            0.1,
            otherwise=lambda: f"gauges say {service.gauges()}",
        )
    finally:
        undo()
    told = [line for line in service.server.log_lines()[before:] if "check" in line]
    assert any(
        line["check"] == fault.told[0] and fault.reason in line.get("why", "") for line in told
    ), told
