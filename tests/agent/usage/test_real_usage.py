"""What is booked, beside what an independent reader of the kernel's files saw, with a real engine.

Containers burn CPU while the process that reads is killed, the engine is killed and started again,
and one runs out of memory. Then all are stopped: nothing is used any more, so that both have the
same to read.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from sqlalchemy import func, select, update

from app.agent.usage.meter import Meter
from app.agent.usage.sources import Sources
from app.domain.usage.ledger import Ledger, Run
from app.engine import DockerEngine, cgroups, group_files
from app.storage import (
    ContainerExit,
    Database,
    Environment,
    EnvironmentStatus,
    ExitReason,
    UsageCursor,
    UsageRow,
    utc_now,
)
from app.storage.fence import unfenced
from benchmarks.usage import cpu_seconds
from tests.agent.usage import meter_process
from tests.agent.usage.bench import Bench
from tests.agent.usage.support import NS, sums
from tests.backends.docker_engine import DockerEngine as RealEngine
from tests.backends.programs import Program, wait_until
from tests.backends.web import ROOT
from tests.sizes import FULL, size

pytestmark = pytest.mark.integration

SOON = 60.0
CONTAINERS = size(2, 50)
SECONDS = size(1.0, 100.0)
IDLE = size(4, 500)
INTERVAL = 10
ROUNDS = size(3, 8)
DYING = NS // 20
MOST_APART = 0.01
BURNING = "while :; do :; done"


@pytest.fixture
def gateway(docker_engine: RealEngine) -> Iterator[DockerEngine]:
    gateway = DockerEngine(docker_engine.host, query_timeout=30)
    yield gateway
    gateway.close()
    docker_engine.clear()


@pytest.fixture
def database(migrated_postgresql: str) -> Iterator[Database]:
    database = Database(migrated_postgresql)
    yield database
    database.dispose()


@pytest.fixture
def bench(database: Database, docker_engine: RealEngine, gateway: DockerEngine) -> Bench:
    return Bench(database, docker_engine, gateway)


@pytest.fixture
def reader(
    migrated_postgresql: str, docker_engine: RealEngine, tmp_path: Path
) -> Iterator[Program]:
    env = {**os.environ, "DATABASE_URL": migrated_postgresql, "DOCKER_HOST": docker_engine.host}
    command = [sys.executable, "-m", meter_process.__name__]
    program = Program(command, tmp_path / "meter.log", env=env, cwd=ROOT)
    yield program
    program.stop(20)


def group_of(pid: int, controller: str) -> Path:
    """Return a control group's directory, as the kernel tells it: without a line of the product."""
    unified = ""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return Path(f"/sys/fs/cgroup/{controller}{path}")
        unified = path if not controllers else unified
    return Path(f"/sys/fs/cgroup{unified}")


def cpu_of(pid: int) -> int:
    group = group_of(pid, "cpuacct")
    if (group / "cpuacct.usage").exists():
        return int((group / "cpuacct.usage").read_text())
    return int((group / "cpu.stat").read_text().split()[1]) * 1000


def booked_cpu(database: Database, container: str) -> int:
    with database.reading() as session:
        query = select(func.sum(UsageCursor.cpu_ns)).where(UsageCursor.container_id == container)
        return int(session.scalar(query) or 0)


def end(bench: Bench, container: str) -> None:
    """Record the end of a run, as the reconciler does."""
    wait_until(lambda: not bench.gateway.inspect(container).running, SOON)
    state = bench.gateway.inspect(container)
    set_status(bench, container, EnvironmentStatus.STOPPED)
    reason = ExitReason.OOM if state.oom_killed else ExitReason.COMPLETED
    ended = ContainerExit(container_id=container, run_started=state.started, reason=reason)
    ended.exited_at, ended.environment_id = (
        state.finished_at or utc_now(),
        state.environment_id or "",
    )
    with bench.database.writing() as session:
        session.add(ended)


def set_status(bench: Bench, container: str, status: EnvironmentStatus) -> None:
    is_it = Environment.container_id == container
    with bench.database.writing() as session:
        session.execute(update(Environment).where(is_it).values(status=status))


def stopped(bench: Bench, containers: list[str]) -> dict[str, int]:
    """Stop their processes, and return what each container has used in this run.

    By signals: the freezer of version 1 does not get hold of processes that wait for their CPU.
    """
    groups = {it: group_of(bench.gateway.inspect(it).pid or 0, "memory") for it in containers}
    for group in groups.values():
        for process in map(int, (group / "cgroup.procs").read_text().split()):
            os.kill(process, signal.SIGSTOP)
            wait_until(lambda it=process: psutil.Process(it).status() == "stopped", SOON)  # type: ignore[misc]
    return {it: cpu_of(bench.gateway.inspect(it).pid or 0) for it in containers}


def test_ledger_has_what_the_kernel_has(bench: Bench, reader: Program) -> None:
    containers = [bench.launch(BURNING, f"burns-{n}", n % 2) for n in range(CONTAINERS)]
    reader.start()
    short = bench.launch("sleep 1", "short")
    thirsty = bench.launch("x=x; while :; do x=$x$x; done", "thirsty")
    for _ in range(3):
        time.sleep(SECONDS)
        reader.kill()
        reader.start()
    for container in (thirsty, short):
        end(bench, container)
    truth = stopped(bench, containers)
    wait_until(lambda: all(booked_cpu(bench.database, it) == truth[it] for it in truth), SOON)

    bench.real.kill()
    time.sleep(SECONDS)
    bench.real.start()  # which ends what ran
    for container in containers:
        end(bench, container)
        bench.gateway.start(container)
        set_status(bench, container, EnvironmentStatus.RUNNING)
    time.sleep(SECONDS)
    for container, used in stopped(bench, containers).items():
        truth[container] += used
    # What a process uses as it is killed may be in the last reading of the first run.
    wait_until(
        lambda: all(0 <= booked_cpu(bench.database, it) - truth[it] < DYING for it in truth), SOON
    )
    reader.stop(20)

    by_environment = sums(bench.database, UsageRow.environment)
    burnt = sum(use["cpu_ns"] for name, use in by_environment.items() if "burns" in name)
    assert burnt == sum(booked_cpu(bench.database, it) for it in truth)
    seen = sum(truth.values())
    print(f"{CONTAINERS} containers: booked {burnt / NS:.3f} s of CPU, read {seen / NS:.3f} s")
    assert 0 <= burnt - seen < DYING * CONTAINERS
    assert not FULL or burnt - seen < MOST_APART * seen
    everything = sums(bench.database)[None]
    teams = sums(bench.database, UsageRow.team).values()
    assert {name: sum(use[name] for use in teams) for name in everything} == everything
    assert by_environment["thirsty"]["oom_kills"] >= 1
    assert by_environment["burns-0"]["throttled_ns"] > 0
    assert everything["runs"] == 2 * CONTAINERS + 2
    assert by_environment["short"]["unread_ns"] > 0


@pytest.mark.parametrize("source", ["files", "engine"])
def test_readings_cost_less_than_a_tenth_of_a_core(
    bench: Bench, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 500 containers at full size, the engine's share included; a round fits its interval."""
    if source == "engine":
        monkeypatch.setattr("app.agent.usage.sources.group_files", lambda *_: None)
    for number in range(IDLE):
        bench.launch("sleep 1000", f"idle-{number}")
    ledger = Ledger(bench.database, unfenced)
    meter = Meter(bench.database, bench.gateway, ledger, INTERVAL)
    meter.run()  # which looks for where to read
    began, before = time.monotonic(), cpu_seconds(bench.real)
    passed = took = 0.0
    monkeypatch.setattr(meter, "_clock", lambda: began + passed)
    for _ in range(ROUNDS):
        passed += INTERVAL
        started = time.monotonic()
        meter.run()
        took = max(took, time.monotonic() - started)
    used = cpu_seconds(bench.real) - before
    assert sums(bench.database)[None]["runs"] == IDLE
    assert took < INTERVAL
    assert used / ROUNDS / INTERVAL < 0.1


def test_files_and_engine_tell_the_same(
    bench: Bench, gateway: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "head -c 8000000 /dev/zero > /dev/shm/full; head -c 5000000 /dev/zero > /f; sleep 1000"
    container = bench.launch(script, "one", cpus=1)
    wait_until(lambda: gateway.counters(container).memory_bytes > 8_000_000, SOON)
    gateway.pause(container)
    state = gateway.inspect(container)
    assert state.pid is not None
    files = group_files(state.id, state.pid)
    assert files is not None
    kernel, engine = files.read(), gateway.counters(container)
    assert kernel.cpu_ns == engine.cpu_ns
    assert (kernel.throttled_ns, kernel.memory_limit_bytes) == (
        engine.throttled_ns,
        engine.memory_limit_bytes,
    )
    assert kernel.memory_bytes == pytest.approx(engine.memory_bytes, rel=0.15)  # a moment later
    # The bridge tells everybody of its own existence now and then.
    assert 0 <= (engine.network_rx_bytes or 0) - (kernel.network_rx_bytes or 0) < 100_000
    assert kernel.oom_kills == 0
    assert abs(kernel.read_at_ns - engine.read_at_ns) < SOON * NS

    run = Run(state.id, state.started)
    assert _read(gateway, container) == run
    # Where the files are not to be had, the engine is asked.
    monkeypatch.setattr("app.agent.usage.sources.group_files", lambda *_: None)
    assert _read(gateway, container) == run
    gateway.unpause(container)
    gateway.kill(container)
    with pytest.raises(cgroups.RunOverError):
        for _ in range(100):
            files.read()
            time.sleep(0.1)


READING = """
import sys
from app.engine import group_files
files = group_files(sys.argv[1], int(sys.argv[2]))
print(sorted(files.groups) if files and files.read().network_rx_bytes is not None else files)
"""


def test_shipped_agent_reads_the_files_from_its_container(bench: Bench) -> None:
    """With what docker-compose.yml gives it: the host's processes and groups, and no power."""
    agent = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["agent"]
    groups = next(volume for volume in agent["volumes"] if "cgroup" in volume)
    container = bench.launch("sleep 1000", "one")
    pid = bench.gateway.inspect(container).pid
    code = [sys.base_prefix, str(ROOT), "/lib", "/usr/lib", "/lib64"]
    raw: Any = bench.real.client()
    settings = raw.create_host_config(
        binds=[groups, *(f"{there}:{there}:ro" for there in code)],
        pid_mode=agent["pid"],
        cap_drop=agent["cap_drop"],
        security_opt=agent["security_opt"],
        read_only=agent["read_only"],
        network_mode="none",
    )
    reading = raw.create_container(
        bench.real.busybox,
        [sys.executable, "-c", READING, container, str(pid)],
        host_config=settings,
        user="10001:10001",
        working_dir=str(ROOT),
    )["Id"]
    try:
        raw.start(reading)
        raw.wait(reading)
        shown = raw.logs(reading).decode()
    finally:
        raw.remove_container(reading, force=True)
    state = bench.gateway.inspect(container)
    files = group_files(state.id, state.pid or 0)
    assert files is not None
    assert shown.strip() == str(sorted(files.groups))


def _read(gateway: DockerEngine, container: str) -> Run | None:
    reading = Sources(gateway).read("environment", container)
    return None if reading is None else reading.run
