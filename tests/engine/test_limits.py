"""Limits, freezing, signals and statistics in a real Docker Engine."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import ContainerNotFoundError, EngineConflictError, EngineError
from app.engine import ContainerSpec, ContainerStats, DockerEngine
from tests.backends.docker_engine import DockerEngine as RealEngine
from tests.backends.programs import wait_until
from tests.engine.conftest import Launch
from tests.engine.images import until_ended

pytestmark = pytest.mark.integration

CALLS: dict[str, Callable[[DockerEngine, str], object]] = {
    "kill": lambda gateway, container: gateway.kill(container),
    "pause": lambda gateway, container: gateway.pause(container),
    "unpause": lambda gateway, container: gateway.unpause(container),
    "update": lambda gateway, name: gateway.update(name, cpu_limit=1, memory_limit_mb=64),
    "stats": lambda gateway, container: gateway.stats(container),
    "counters": lambda gateway, container: gateway.counters(container),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_absent_container_is_not_found(
    gateway: DockerEngine, call: Callable[[DockerEngine, str], object]
) -> None:
    with pytest.raises(ContainerNotFoundError):
        call(gateway, "vibebox-absent")


@pytest.mark.parametrize("name", ["kill", "pause", "unpause", "stats", "counters"])
def test_container_that_does_not_run_is_a_conflict(
    gateway: DockerEngine, spec: ContainerSpec, name: str
) -> None:
    container = gateway.create(spec)
    with pytest.raises(EngineConflictError):
        CALLS[name](gateway, container)


def test_paused_container_stands_still(gateway: DockerEngine, running: str) -> None:
    gateway.pause(running)
    paused = gateway.inspect(running)
    assert (paused.status, paused.running, paused.paused) == ("paused", True, True)
    with pytest.raises(EngineConflictError):
        gateway.pause(running)
    with pytest.raises(EngineConflictError):
        gateway.exec(running, ["true"])
    gateway.unpause(running)
    assert gateway.inspect(running).status == "running"
    with pytest.raises(EngineConflictError):
        gateway.unpause(running)
    assert gateway.exec(running, ["true"]).exit_code == 0


def test_paused_container_can_be_stopped(gateway: DockerEngine, running: str) -> None:
    gateway.pause(running)
    gateway.stop(running, grace=5)
    assert gateway.inspect(running).status == "exited"


@pytest.mark.parametrize(("signal", "exit_code"), [("SIGKILL", 137), ("SIGTERM", 143)])
def test_kill_sends_the_signal(
    gateway: DockerEngine, running: str, signal: str, exit_code: int
) -> None:
    gateway.kill(running, signal)
    assert until_ended(gateway, running).exit_code == exit_code


def test_unknown_signal_is_an_error(gateway: DockerEngine, running: str) -> None:
    with pytest.raises(EngineError):
        gateway.kill(running, "NONSENSE")
    assert gateway.inspect(running).running


def test_new_limits_hold_at_once(gateway: DockerEngine, running: str, raw: Any) -> None:
    gateway.update(running, cpu_limit=1.25, memory_limit_mb=96)
    host = raw.inspect_container(running)["HostConfig"]
    assert (host["Memory"], host["MemorySwap"]) == (96 * 2**20, 96 * 2**20)
    assert host["NanoCpus"] == 1_250_000_000
    process = raw.inspect_container(running)["State"]["Pid"]
    assert _limit_of(process) == 96 * 2**20
    assert gateway.stats(running).memory_limit_bytes == 96 * 2**20


def test_limits_of_a_stopped_container_hold_when_it_starts(
    gateway: DockerEngine, spec: ContainerSpec
) -> None:
    container = gateway.create(spec)
    gateway.update(container, cpu_limit=1, memory_limit_mb=80)
    gateway.start(container)
    assert gateway.stats(container).memory_limit_bytes == 80 * 2**20


REFUSED = {"less memory than is in use": (0.5, 8), "too little memory": (0.5, 1), "CPUs": (1e4, 64)}


@pytest.mark.parametrize(("cpu_limit", "memory_limit_mb"), REFUSED.values(), ids=REFUSED)
def test_refused_limits_change_nothing(
    gateway: DockerEngine, launch: Launch, raw: Any, cpu_limit: float, memory_limit_mb: int
) -> None:
    container = launch("head -c 30000000 /dev/zero > /dev/shm/full; sleep 60")
    wait_until(lambda: "full" in gateway.exec(container, ["ls", "/dev/shm"]).stdout.decode(), 20)
    wait_until(lambda: _memory(raw, container) > 28_000_000, 20)
    with pytest.raises(EngineConflictError, match="refuses these limits"):
        gateway.update(container, cpu_limit=cpu_limit, memory_limit_mb=memory_limit_mb)
    host = raw.inspect_container(container)["HostConfig"]
    assert (host["Memory"], host["NanoCpus"]) == (64 * 2**20, 500_000_000)


def test_stats_tell_what_is_used(gateway: DockerEngine, launch: Launch) -> None:
    script = "head -c 20000000 /dev/zero > /dev/shm/full; while :; do :; done"
    container = launch(script, cpu_limit=0.4)
    wait_until(lambda: gateway.stats(container).memory_bytes > 19_000_000, 20)
    first, second = gateway.stats(container), gateway.stats(container)
    assert 10 < second.cpu_percent < 60  # of the 40 it may have; the machine may be busy
    assert 0 < first.cpu_seconds < second.cpu_seconds
    assert 19_000_000 < second.memory_bytes < second.memory_limit_bytes == 64 * 2**20
    assert second.pids >= 2  # docker-init and the shell
    assert second.network_rx_bytes >= 0 and second.block_write_bytes >= 0
    assert first.read_at < second.read_at
    assert abs(second.read_at.timestamp() - time.time()) < 60


def test_container_removed_while_it_is_measured_is_not_found(
    gateway: DockerEngine, launch: Launch
) -> None:
    error: BaseException | None = None
    with ThreadPoolExecutor(1) as pool:
        # A busy engine removes it after both samples, or is asked while it has only stopped.
        for _ in range(10):
            container = launch("sleep 60")
            measured = pool.submit(gateway.stats, container)
            time.sleep(0.05)
            gateway.remove(container)
            if isinstance(error := measured.exception(), ContainerNotFoundError):
                break
    assert isinstance(error, ContainerNotFoundError)


def test_stats_leave_page_cache_out(gateway: DockerEngine, running: str) -> None:
    script = "head -c 20000000 /dev/zero > /file; cat /file > /dev/null"
    assert gateway.exec(running, ["sh", "-c", script]).exit_code == 0
    assert gateway.stats(running).memory_bytes < 10_000_000


def test_paused_container_uses_no_cpu(gateway: DockerEngine, running: str) -> None:
    gateway.pause(running)
    stats = gateway.stats(running)
    assert isinstance(stats, ContainerStats)
    assert stats.cpu_percent == 0
    assert stats.memory_bytes > 0


def test_list_has_all_containers_of_environments(
    gateway: DockerEngine, spec: ContainerSpec, docker_engine: RealEngine, raw: Any
) -> None:
    created = gateway.create(replace(spec, instance="here"))
    other = gateway.create(replace(spec, name=f"{spec.name}-2"))
    gateway.start(other)
    foreign = raw.create_container(docker_engine.busybox)["Id"]
    listed = {found.id: found for found in gateway.list_containers()}
    everything = {found.id for found in gateway.list_containers(environment_label_only=False)}
    raw.remove_container(foreign)
    assert (listed[created].name, listed[created].status) == (spec.name, "created")
    assert (listed[created].instance, listed[other].instance) == ("here", None)
    assert listed[other].environment_id == spec.environment_id
    assert listed[other].status == "running"
    assert foreign not in listed
    assert everything == {*listed, foreign}


def test_state_tells_the_run_and_its_end(gateway: DockerEngine, launch: Launch) -> None:
    container = launch("exit 3", instance="here")
    first = until_ended(gateway, container)
    assert first.started_at is not None and first.finished_at is not None
    # Docker takes the two from different clocks: of a run of a moment the end may come first.
    assert first.finished_at - first.started_at > timedelta(seconds=-1)
    assert (first.instance, first.image.split("-")[0]) == ("here", "vibebox")
    gateway.start(container)
    second = until_ended(gateway, container)
    assert first.started and second.started > first.started
    assert second.started.startswith(f"{second.started_at:%Y-%m-%dT%H:%M:%S.}")


def test_container_never_started_has_no_run(gateway: DockerEngine, spec: ContainerSpec) -> None:
    created = gateway.inspect(gateway.create(spec))
    assert (created.started, created.started_at, created.finished_at) == ("", None, None)
    assert (created.name, created.image) == (spec.name, spec.image)
    assert (created.environment_id, created.instance) == (spec.environment_id, None)


def test_create_leaves_a_container_of_another_installation_alone(
    gateway: DockerEngine, spec: ContainerSpec
) -> None:
    theirs = gateway.create(replace(spec, instance="there"))
    with pytest.raises(EngineConflictError, match="does not belong"):
        gateway.create(replace(spec, instance="here"))
    assert gateway.create(replace(spec, instance="there")) != theirs  # their own is a leftover


def _limit_of(process: int) -> int:
    """Return the memory limit of the control group that the process is in (v1, or v2)."""
    for line in Path(f"/proc/{process}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return int(Path(f"/sys/fs/cgroup/memory{path}/memory.limit_in_bytes").read_text())
    return int(Path(f"/sys/fs/cgroup{path}/memory.max").read_text())


def _memory(raw: Any, container: str) -> int:
    stats = raw.stats(container, stream=False, one_shot=True)
    return int(stats["memory_stats"]["usage"])
