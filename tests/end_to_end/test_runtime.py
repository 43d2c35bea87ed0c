"""What the processes of a real server tell of themselves, against what the kernel says."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from prefork_metrics.directory import layout
from prefork_metrics.directory.membership import is_live
from tests.backends import http
from tests.backends.programs import wait_until
from tests.backends.web import Sample, WebServer
from tests.conftest import shared
from tests.end_to_end.counters import Since, Watch, shown

pytestmark = pytest.mark.end_to_end

WORKERS, THREADS = 4, 4
# Each replaces all workers three times over: with the two reloads before, 104 are replaced.
ROUNDS = 8
SLOTS = {"master", *(f"web-{number}" for number in range(WORKERS))}
CPU = "vibebox_process_cpu_seconds_total"
EXITS = "vibebox_worker_exits_total"
START = "vibebox_process_start_time_seconds"
# The kernel tells user and system time in whole ticks.
TOLERANCE = 2 / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(directory: Path) -> Iterator[WebServer]:
    with WebServer(directory, None, WORKERS, THREADS) as server, shared(server):
        wait_until(lambda: server.metric("vibebox_workers") == WORKERS, 15)
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """A server whose first workers live."""
    with running(tmp_path_factory.mktemp("runtime")) as server:
        yield server


@pytest.fixture(scope="module")
def struck(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """A server that loses workers, and has all of them again at the end of each test."""
    with running(tmp_path_factory.mktemp("struck")) as server:
        yield server


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


@pytest.mark.timeout(240)
def test_cpu_and_memory_of_each_process_as_the_kernel_sees_them(server: WebServer) -> None:
    found = processes(server)
    load(server, 3)
    time.sleep(2.5)
    before = {slot: usage(process) for slot, process in found.items()}
    metrics = server.metrics()
    after = {slot: usage(process) for slot, process in found.items()}

    cpu = by_worker(metrics, CPU)
    memory = by_worker(metrics, "vibebox_process_resident_memory_bytes")
    virtual = by_worker(metrics, "vibebox_process_virtual_memory_bytes")
    blocks = by_worker(metrics, "vibebox_python_allocated_blocks")
    # The scrape itself takes CPU and memory in one of them: the truth is between the two looks.
    for slot in SLOTS:
        (least, small), (most, large) = before[slot], after[slot]
        assert 0.98 * least - TOLERANCE <= cpu[slot] <= 1.02 * most + TOLERANCE, slot
        assert 0.98 * min(small, large) <= memory[slot] <= 1.02 * max(small, large), slot
        assert memory[slot] < virtual[slot] < 100 * memory[slot], slot
        assert 10_000 < blocks[slot] < memory[slot] / 8, slot


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


def await_workers(server: WebServer, old: list[int]) -> None:
    """Wait until none of `old` is left, and as many new ones as there should be are at work.

    A worker that boots does not listen to signals yet.
    """
    server.wait_for_workers(lambda pids: len(pids) == WORKERS and not set(pids) & set(old))
    wait_until(lambda: shown(server, "vibebox_workers") == WORKERS, 30, interval=0.1)


def reload(server: WebServer) -> None:
    old = server.worker_pids()
    server.signal(signal.SIGHUP)
    await_workers(server, old)


def strike(server: WebServer, number: int) -> None:
    """Send all workers at once a signal that they end by."""
    old = server.worker_pids()
    for pid in old:
        os.kill(pid, number)
    await_workers(server, old)


def value_files(server: WebServer) -> tuple[Counter[str], int]:
    """Return how many files of values each owner has, the archive too, and how many members."""
    listing = layout.scan(Path(server.env["PROMETHEUS_MULTIPROC_DIR"]))
    assert not listing.temporary and not listing.bad and len(listing.archives) == 1
    files: Counter[str] = Counter()
    for name, member in listing.members.items():
        assert is_live(member.marker), name
        files.update({name: len(member.values)})
    (archive,) = listing.archives.values()
    prefixes = [file.prefix for file in archive]
    assert len(prefixes) == len(set(prefixes))
    files["archive"] = len(prefixes)
    return files, len(listing.members)


@pytest.mark.timeout(400)
@pytest.mark.full
def test_a_hundred_replaced_workers_leave_nothing_behind(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        _replace_a_hundred(server)


def _replace_a_hundred(server: WebServer) -> None:
    load(server, 1)
    started = time.monotonic()
    with Watch(server) as watch:
        # While a reload lasts there are twice as many workers, so twice as many places: the first
        # one creates the other half, the second goes back.
        reload(server)
        reload(server)
        time.sleep(1.2)
        series = set(server.metrics())
        files, members = value_files(server)

        for _ in range(ROUNDS):
            reload(server)
            strike(server, signal.SIGKILL)
            strike(server, signal.SIGTERM)
    replaced = (3 * ROUNDS + 2) * WORKERS
    print(f"{replaced} workers replaced in {time.monotonic() - started:.1f} s")
    print(f"{watch.scrapes} scrapes, {len(series)} series, {sum(files.values())} files")

    assert watch.scrapes > ROUNDS
    assert not watch.faults, "\n".join(watch.faults)
    # The master counts an exit when it reaps the worker. It told none but those it reloaded.
    expected = {"reloaded": (ROUNDS + 2) * WORKERS, "killed": 2 * ROUNDS * WORKERS}
    wait_until(lambda: server.metric(EXITS) == sum(expected.values()), 5)
    assert {reason: server.metric(EXITS, reason=reason) for reason in expected} == expected
    wait_until(
        lambda: set(server.metrics()) == series,
        15,
        interval=0.5,
        otherwise=lambda: f"series differ: {set(server.metrics()) ^ series}",
    )
    after, members_after = value_files(server)
    assert members_after == members
    assert sorted(after.values()) == sorted(files.values())


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
    struck: WebServer, act: Callable[[WebServer], None], reason: str, times: int
) -> None:
    since = Since(struck)
    act(struck)

    struck.wait_live()  # until new workers have booted, requests wait for them
    wait_until(lambda: since.metric(EXITS, reason=reason) == times, 30)
    assert since.metric(EXITS) == times
    if reason == "shutdown":
        struck.signal(signal.SIGTTIN)
    struck.wait_for_workers(lambda pids: len(pids) == WORKERS)
    wait_until(lambda: struck.metric("vibebox_workers") == WORKERS, 30)
