"""What the processes of a real server tell of themselves, against what the kernel says."""

import os
import signal
import time
from collections.abc import Callable

import psutil
import pytest

from tests.conftest import WebServerFactory
from tests.services import http
from tests.services.programs import wait_until
from tests.services.web import Sample, WebServer

pytestmark = pytest.mark.end_to_end

WORKERS, THREADS = 4, 4
SLOTS = {"master", *(f"web-{number}" for number in range(WORKERS))}
CPU = "vibebox_process_cpu_seconds_total"
EXITS = "vibebox_worker_exits_total"
START = "vibebox_process_start_time_seconds"
# The kernel tells user and system time in whole ticks.
TOLERANCE = 2 / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def server(web_server: WebServerFactory) -> WebServer:
    server = web_server(workers=WORKERS, threads=THREADS)
    wait_until(lambda: server.metric("vibebox_workers") == WORKERS, 15)
    return server


def by_worker(metrics: dict[Sample, float], name: str) -> dict[str, float]:
    """Return the sums of the samples called `name` by worker."""
    sums: dict[str, float] = {}
    for (sample, labels), value in metrics.items():
        if sample == name:
            worker = dict(labels)["worker"]
            sums[worker] = sums.get(worker, 0.0) + value
    return sums


def processes(server: WebServer) -> dict[str, psutil.Process]:
    """Return the processes by slot, told by their start: workers start one after another."""
    found = [psutil.Process(server.pid), *map(psutil.Process, server.worker_pids())]
    starts = by_worker(server.metrics(), START)
    assert set(starts) == SLOTS
    assert starts["master"] == pytest.approx(found[0].create_time(), abs=1)
    slots = sorted(starts, key=lambda slot: (starts[slot], slot))
    return dict(zip(slots, sorted(found, key=psutil.Process.create_time), strict=True))


def usage(process: psutil.Process) -> tuple[float, int]:
    """Return the CPU time and the resident memory of a process."""
    with process.oneshot():
        times = process.cpu_times()
        return times.user + times.system, process.memory_info().rss


def load(server: WebServer, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        http.get(f"{server.url}/openapi/openapi.json")


@pytest.mark.timeout(120)
def test_cpu_and_memory_of_each_process_as_the_kernel_sees_them(server: WebServer) -> None:
    found = processes(server)
    load(server, 3)
    time.sleep(2.5)
    before = {slot: usage(process) for slot, process in found.items()}
    metrics = server.metrics()
    after = {slot: usage(process) for slot, process in found.items()}

    cpu = by_worker(metrics, CPU)
    memory = by_worker(metrics, "vibebox_process_resident_memory_bytes")
    # The scrape itself takes CPU and memory in one of them: the truth is between the two looks.
    for slot in SLOTS:
        (least, small), (most, large) = before[slot], after[slot]
        assert 0.98 * least - TOLERANCE <= cpu[slot] <= 1.02 * most + TOLERANCE, slot
        assert 0.98 * min(small, large) <= memory[slot] <= 1.02 * max(small, large), slot


def test_saturation_limits_and_shared_memory(server: WebServer) -> None:
    time.sleep(1.2)
    metrics = server.metrics()

    def sample(name: str, **labels: str) -> float:
        return metrics[name, frozenset(labels.items())]

    assert sample("vibebox_worker_threads", state="total") == WORKERS * THREADS
    assert sample("vibebox_worker_threads", state="busy") == 0
    assert sample("vibebox_accept_queue_depth") == 0
    assert sample("vibebox_accept_queue_limit") > 0
    assert 0 < sample("vibebox_memory_limit_bytes", role="web") <= psutil.virtual_memory().total
    assert 0 < sample("vibebox_cpu_limit_cores", role="web") <= os.cpu_count()  # type: ignore[operator]
    shared = by_worker(metrics, "vibebox_process_proportional_memory_bytes")
    resident = by_worker(metrics, "vibebox_process_resident_memory_bytes")
    assert set(shared) == set(resident) == SLOTS
    assert all(0 < shared[slot] < resident[slot] for slot in SLOTS)
    assert set(by_worker(metrics, "vibebox_python_gc_collections_total")) == SLOTS
    assert sample("vibebox_scheduling_lag_seconds_count") > 0


@pytest.mark.timeout(180)
def test_replaced_workers_keep_their_slots_and_their_cpu(server: WebServer) -> None:
    load(server, 1)
    time.sleep(1.2)
    series = set(server.metrics())
    least = by_worker(server.metrics(), CPU)
    for _ in range(10):
        victim = server.worker_pids()[0]
        os.kill(victim, signal.SIGKILL)
        server.wait_for_workers(lambda pids, gone=victim: len(pids) == WORKERS and gone not in pids)  # type: ignore[misc]
        wait_until(lambda: len(by_worker(server.metrics(), START)) == len(SLOTS), 15)
        now = by_worker(server.metrics(), CPU)
        assert set(now) == SLOTS
        assert all(now[slot] >= least[slot] for slot in SLOTS)
        least = now

    # The master counts an exit when it reaps the worker.
    wait_until(lambda: server.metric(EXITS, reason="killed") == 10, 5)
    wait_until(lambda: server.metric("vibebox_workers") == WORKERS, 15)
    time.sleep(1.2)
    assert set(server.metrics()) == series


@pytest.mark.parametrize(
    ("act", "reason", "times"),
    [
        (lambda server: os.kill(server.worker_pids()[0], signal.SIGSEGV), "crashed", 1),
        (lambda server: os.kill(server.worker_pids()[0], signal.SIGKILL), "killed", 1),
        (lambda server: server.signal(signal.SIGHUP), "reloaded", WORKERS),
        (lambda server: server.signal(signal.SIGTTOU), "shutdown", 1),
    ],
    ids=["crashed", "killed", "reloaded", "shutdown"],
)
def test_exits_by_reason(
    server: WebServer, act: Callable[[WebServer], None], reason: str, times: int
) -> None:
    assert server.metric(EXITS) == 0
    act(server)

    wait_until(lambda: server.metric(EXITS, reason=reason) == times, 30)
    assert server.metric(EXITS) == times
