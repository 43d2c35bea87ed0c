"""A process's readings: right, and monotone whatever takes its slot."""

import contextlib
import os
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from prefork_metrics.runtime import process
from prefork_metrics.runtime.process import ProcessReadings
from tests.prefork_metrics.registry import moved, read, registry

CPU = "test_process_cpu_seconds_total"
TICK = os.sysconf("SC_CLK_TCK")


class FakeProc:
    """A /proc whose one process does what the test says."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "self/fd").mkdir(parents=True)
        for number in range(4):
            (root / f"self/fd/{number}").touch()
        (root / "stat").write_text("cpu 1 2\nbtime 1700000000\n")
        (root / "self/statm").write_text("9000 500 300 1 0 2000 0\n")
        (root / "self/smaps_rollup").write_text("55-7f ---p 0 00:00 0 [rollup]\nPss: 123 kB\n")
        self.run(0, 0)

    def run(self, user: int, system: int) -> None:
        """Set the CPU time, in ticks."""
        before = "7 (a ) strange (name) S 1 7 7 0 -1 4194304 100 0 0 0"
        rest = f"0 0 20 0 6 0 {50 * TICK} 1000 500"
        (self.root / "self/stat").write_text(f"{before} {user} {system} {rest}\n")


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    return FakeProc(tmp_path)


def test_readings_of_a_fake_proc(proc: FakeProc) -> None:
    proc.run(3 * TICK, TICK)
    readings = ProcessReadings(registry, "web", "web-90", proc.root)

    with moved(CPU) as cpu:
        readings.publish()
        readings.publish_share()

    assert cpu == {("web", "web-90", "user"): 3.0, ("web", "web-90", "system"): 1.0}
    assert {
        name: read(f"test_process_{name}")[labels]
        for name, labels in {
            "resident_memory_bytes": ("web", "web-90"),
            "virtual_memory_bytes": ("web", "web-90"),
            "proportional_memory_bytes": ("web", "web-90"),
            "open_fds": ("web-90",),
            "threads": ("web-90",),
            "start_time_seconds": ("web-90",),
        }.items()
    } == {
        "resident_memory_bytes": 500 * os.sysconf("SC_PAGE_SIZE"),
        "virtual_memory_bytes": 9000 * os.sysconf("SC_PAGE_SIZE"),
        "proportional_memory_bytes": 123 * 1024,
        # One of the four is the descriptor that lists them.
        "open_fds": 3,
        "threads": 6,
        "start_time_seconds": 1_700_000_050,
    }


def test_cpu_of_successive_processes_in_a_slot_adds_up(proc: FakeProc) -> None:
    with moved(CPU) as cpu:
        for _ in range(100):
            proc.run(TICK, 0)
            successor = ProcessReadings(registry, "web", "web-91", proc.root)
            successor.publish()
            proc.run(2 * TICK, TICK)
            successor.publish()

    assert cpu == {("web", "web-91", "user"): 200.0, ("web", "web-91", "system"): 100.0}


def test_cpu_never_falls(proc: FakeProc) -> None:
    readings = ProcessReadings(registry, "web", "web-92", proc.root)
    with moved(CPU) as cpu:
        for ticks in (TICK, TICK // 2, 2 * TICK):
            proc.run(ticks, 0)
            readings.publish()

    assert cpu == {("web", "web-92", "user"): 2.0}


def test_this_process_as_psutil_sees_it() -> None:
    me = psutil.Process()
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        now = process.stat()
        assert now.threads == me.num_threads()
    finally:
        stop.set()
        thread.join()
    assert now.user == pytest.approx(me.cpu_times().user, abs=0.05)
    assert now.system == pytest.approx(me.cpu_times().system, abs=0.05)
    assert process.boot_time() + now.start == pytest.approx(me.create_time(), abs=1.5)
    assert list(process.memory_bytes()) == [
        pytest.approx(me.memory_info().vms, rel=0.02),
        pytest.approx(me.memory_info().rss, rel=0.02),
    ]
    # psutil counts the descriptor that it lists them with.
    assert process.open_descriptors() == me.num_fds() - 1
    assert process.descriptor_limit() == me.rlimit(psutil.RLIMIT_NOFILE)[0]


def test_where_no_descriptor_is_left_all_are_open() -> None:
    """Reading them needs one: just then the alert must not lose its number."""
    taken: list[int] = []
    try:
        with resource_limit(process.open_descriptors() + 8):
            with contextlib.suppress(OSError):
                while True:
                    taken.append(os.dup(0))
            assert process.open_descriptors() == process.descriptor_limit()
    finally:
        for number in taken:
            os.close(number)


@contextlib.contextmanager
def resource_limit(descriptors: float) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(descriptors), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="the kernel has no rollup")
def test_shared_pages_are_divided() -> None:
    expected = psutil.Process().memory_full_info().pss

    assert process.proportional_bytes() == pytest.approx(expected, rel=0.02)
