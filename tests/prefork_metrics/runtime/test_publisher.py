"""The publisher goes on whatever fails, ends when told, and lets the process fork."""

import logging
import os
import threading
import time
from collections.abc import Iterator

import pytest

from prefork_metrics.runtime import publisher
from prefork_metrics.runtime.publisher import Part, Publisher
from prefork_metrics.runtime.runtime import Runtime
from prefork_metrics.runtime.saturation import ServerReadings
from tests.prefork_metrics.registry import moved, read, registry
from tests.sizes import size

ERRORS = "test_metrics_collect_errors_total"


class Readings:
    """Readings that fail as long as the test says."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.times = 0
        self.published = threading.Event()

    def publish(self) -> None:
        self.times += 1
        self.published.set()
        if self.error is not None:
            raise self.error


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    runtime = Runtime(registry, "web", "web-93", server=ServerReadings(lambda: (1, 4)))
    yield runtime
    runtime.close()


def test_failing_part_spares_the_others_and_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken, sound = Readings(OSError("gone")), Readings()
    readings = Publisher(registry, [Part("broken", broken.publish), Part("sound", sound.publish)])

    with moved(ERRORS) as errors, caplog.at_level(logging.WARNING):
        for _ in range(3):
            readings.publish()
        broken.error = ValueError("garbled")
        readings.publish()

    assert (broken.times, sound.times) == (4, 4)
    assert errors == {("runtime",): 4}
    assert [(record.part, record.why) for record in caplog.records] == [  # type: ignore[attr-defined]
        ("broken", "OSError('gone')"),
        ("broken", "ValueError('garbled')"),
    ]


def test_part_with_a_period_waits_its_turn() -> None:
    dear = Readings()
    readings = Publisher(registry, [Part("dear", dear.publish, every=60)], interval=0.01)
    readings.start()
    time.sleep(0.05)
    assert dear.times == 1

    readings.close()
    assert dear.times == 2


def test_publishes_on_its_own_until_it_is_closed() -> None:
    part = Readings(OSError("always"))
    readings = Publisher(registry, [Part("part", part.publish)], interval=0.001)
    readings.start()
    part.published.clear()
    assert part.published.wait(5)
    readings.close()
    readings.close()

    times = part.times
    time.sleep(0.02)
    assert part.times == times


def test_no_fork_in_the_middle_of_a_round() -> None:
    entered, leave = threading.Event(), threading.Event()

    def hang() -> None:
        entered.set()
        leave.wait(5)

    readings = Publisher(registry, [Part("hangs", hang)])
    publisher._started.add(readings)
    thread = threading.Thread(target=readings.publish)
    thread.start()
    entered.wait(5)
    holding = threading.Thread(target=publisher._before_fork)
    holding.start()
    holding.join(0.05)
    assert holding.is_alive()

    leave.set()
    holding.join(5)
    assert not holding.is_alive()
    assert readings._round.locked()
    publisher._after_fork_in_parent()
    assert not readings._round.locked()
    thread.join()
    publisher._started.discard(readings)


@pytest.mark.integration
@pytest.mark.timeout(30)
def test_children_forked_while_it_publishes_can_count() -> None:
    locks = Part("takes every lock", lambda: registry.scrape.collect_errors.child("runtime").inc(0))
    busy = Publisher(registry, [locks], interval=0)
    runtime = Runtime(registry, "web", "web-94")
    runtime.start()
    busy.start()
    try:
        for _ in range(size(6, 30)):
            pid = os.fork()
            if pid == 0:
                own = Runtime(registry, "web", "web-95")
                own.start()
                own.close()
                os._exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    finally:
        busy.close()
        runtime.close()


def test_runtime_publishes_everything_at_its_start(runtime: Runtime) -> None:
    runtime.start()

    assert read("test_process_resident_memory_bytes")[("web", "web-93")] > 1 << 20
    assert read("test_process_proportional_memory_bytes")[("web", "web-93")] > 0
    assert read("test_process_cpu_seconds_total")[("web", "web-93", "user")] > 0
    assert read("test_process_open_fds")[("web-93",)] > 0
    assert read("test_memory_limit_bytes")[("web",)] > 0
    assert read("test_worker_threads") == {("busy",): 1, ("total",): 4}
    assert ("web-93", "2") in read("test_python_gc_collections_total")
    runtime.close()
    runtime.close()
    assert read("test_workers") == {(): 0}


def test_master_has_no_lag_thread() -> None:
    runtime = Runtime(registry, "web", "master")
    runtime.start()
    names = {thread.name for thread in threading.enumerate()}
    runtime.close()

    assert "runtime-publisher" in names
    assert "scheduling-lag" not in names
