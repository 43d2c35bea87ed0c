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

from app.agent.usage.ends import Ends
from app.agent.usage.meter import Meter
from app.agent.usage.sources import Sources
from app.domain.usage.ledger import Ledger, Run
from app.engine import DockerEngine, cgroups, group_files
from app.storage import EnvironmentStatus, UsageRow
from app.storage.fence import unfenced
from benchmarks.usage import cpu_seconds
from tests.agent.usage import meter_process
from tests.agent.usage.bench import SOON, Bench, cpu_of, group_of, throttled_of
from tests.agent.usage.support import NS, sums
from tests.backends.docker_engine import DockerEngine as RealEngine
from tests.backends.programs import Program, wait_until
from tests.backends.web import ROOT
from tests.sizes import FULL, size

pytestmark = [pytest.mark.integration, pytest.mark.timeout(size(120, 1800))]

CONTAINERS = size(2, 50)
SECONDS = size(0.0, 100.0)
KILLS = size(1, 3)
IDLE = size(4, 250)
"""As many as have an address in the engine's network."""
PROMISED = 500
INTERVAL = 10
ROUNDS = size(3, 8)
DYING = NS // 20
MOST_APART = 0.01
BURNING = "while :; do :; done"


@pytest.fixture
def reader(
    migrated_postgresql: str, docker_engine: RealEngine, tmp_path: Path
) -> Iterator[Program]:
    env = {**os.environ, "DATABASE_URL": migrated_postgresql, "DOCKER_HOST": docker_engine.host}
    command = [sys.executable, "-m", meter_process.__name__]
    program = Program(command, tmp_path / "meter.log", env=env, cwd=ROOT)
    yield program
    program.stop(20)


def stopped(bench: Bench, containers: list[str]) -> dict[str, int]:
    """Stop their processes, and return what each container has used in this run.

    By signals: the freezer of version 1 does not get hold of processes that wait for their CPU.
    """
    for container in containers:
        group = group_of(bench.pid(container), "memory")
        for process in map(int, (group / "cgroup.procs").read_text().split()):
            os.kill(process, signal.SIGSTOP)
            wait_until(lambda it=process: psutil.Process(it).status() == "stopped", SOON)  # type: ignore[misc]
    return {it: cpu_of(group_of(bench.pid(it), "cpuacct")) for it in containers}


def burn(bench: Bench, containers: list[str]) -> None:
    """Let them use more for a while: until more is booked of each, and one is held back."""
    before = {it: bench.booked_cpu(it) for it in containers}
    time.sleep(SECONDS)
    wait_until(lambda: all(bench.booked_cpu(it) > used for it, used in before.items()), SOON)
    wait_until(lambda: throttled_of(bench.pid(containers[0])) > 0, SOON)


def test_ledger_has_what_the_kernel_has(bench: Bench, reader: Program) -> None:
    unseen = bench.launch("sleep 0.2", "unseen")
    bench.end(unseen)
    containers = [bench.launch(BURNING, f"burns-{n}", n % 2) for n in range(CONTAINERS)]
    reader.start()
    short = bench.launch("sleep 1", "short")
    thirsty = bench.launch("x=x; while :; do x=$x$x; done", "thirsty")
    for _ in range(KILLS):
        burn(bench, containers)
        reader.kill()
        reader.start()
    for container in (thirsty, short):
        bench.end(container)
    burn(bench, containers)
    truth = stopped(bench, containers)
    wait_until(lambda: all(bench.booked_cpu(it) == truth[it] for it in truth), SOON)

    bench.real.kill()
    time.sleep(SECONDS)
    bench.real.start()  # which ends what ran
    for container in containers:
        bench.end(container)
        bench.gateway.start(container)
        bench.set_status(container, EnvironmentStatus.RUNNING)
    burn(bench, containers)
    for container, used in stopped(bench, containers).items():
        truth[container] += used
    # What a process uses as it is killed is in the last reading of the first run.
    wait_until(
        lambda: all(0 <= bench.booked_cpu(it) - truth[it] < DYING for it in truth),
        SOON,
        otherwise=lambda: str([bench.booked_cpu(it) - truth[it] for it in truth]),
    )
    reader.stop(20)

    by_environment = sums(bench.database, UsageRow.environment)
    burnt = sum(use["cpu_ns"] for name, use in by_environment.items() if "burns" in name)
    assert burnt == sum(bench.booked_cpu(it) for it in truth)
    seen = sum(truth.values())
    print(f"{CONTAINERS} containers: booked {burnt / NS:.3f} s of CPU, read {seen / NS:.3f} s")
    assert 0 <= burnt - seen < DYING * CONTAINERS
    assert not FULL or burnt - seen < MOST_APART * seen
    everything = sums(bench.database)[None]
    teams = sums(bench.database, UsageRow.team).values()
    assert {name: sum(use[name] for use in teams) for name in everything} == everything
    assert by_environment["thirsty"]["oom_kills"] >= 1
    assert by_environment["burns-0"]["throttled_ns"] > 0
    assert everything["runs"] == 2 * CONTAINERS + 3
    assert by_environment["short"]["running_ns"] > NS
    unread = by_environment["unseen"]
    assert (unread["unread_runs"], unread["cpu_ns"]) == (1, 0)
    assert unread["unread_ns"] == unread["running_ns"] > 0


@pytest.mark.parametrize("source", ["files", "engine"])
def test_readings_cost_less_than_a_tenth_of_a_core(
    bench: Bench, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 500 containers, the engine's share included; a round fits its interval.

    By the files each costs the same, beside what a round costs; of the engine so many are asked in
    a second, whatever there are.
    """
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
    meter.close(SOON)
    assert sums(bench.database)[None]["runs"] == IDLE
    assert took < INTERVAL
    share = used / ROUNDS / INTERVAL * (PROMISED / IDLE if FULL and source == "files" else 1)
    print(f"{IDLE} containers by {source}: {share:.2%} of a core, a round in {took:.2f} s at most")
    assert share < 0.1


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
import select, sys
from app.engine import RunEnd, group_files
files = group_files(sys.argv[1], int(sys.argv[2]))
print(sorted(files.groups), flush=True)
end = RunEnd(files)
select.select([end], [], [], 60)
print(end.read().network_rx_bytes is not None)
"""


def test_shipped_agent_reads_the_files_from_its_container(bench: Bench) -> None:
    """With what docker-compose.yml gives it: the host's processes and groups, and no power."""
    agent = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["agent"]
    hierarchies = next(volume for volume in agent["volumes"] if "cgroup" in volume)
    container = bench.launch("sleep 1000", "one")
    pid = bench.pid(container)
    code = [sys.base_prefix, str(ROOT), "/lib", "/usr/lib", "/lib64"]
    raw: Any = bench.real.client()
    settings = raw.create_host_config(
        binds=[hierarchies, *(f"{there}:{there}:ro" for there in code)],
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
    files = group_files(container, pid)
    assert files is not None
    try:
        raw.start(reading)
        groups = str(sorted(files.groups))
        wait_until(lambda: groups in raw.logs(reading).decode(), SOON)
        bench.real.suspend_runtime()  # so that the files are there for as long as it takes
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: raw.logs(reading).decode().split("\n")[1:2] != [""], SOON)
        shown = raw.logs(reading).decode()
    finally:
        bench.real.resume_runtime()
        raw.remove_container(reading, force=True)
    assert shown.splitlines() == [groups, "True"]


def _read(gateway: DockerEngine, container: str) -> Run | None:
    ends = Ends(lambda: None)
    reading = Sources(gateway, ends).read("environment", container)
    assert ends.close(SOON) == []
    return None if reading is None else reading.run
