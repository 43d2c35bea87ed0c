"""Garbage collections are counted, and never where they could wait for a lock."""

import gc
import threading
from collections.abc import Iterator

import pytest

from prefork_metrics.runtime.collector import CollectorReadings
from tests.prefork_metrics.registry import moved, read, registry

COLLECTIONS = "test_python_gc_collections_total"
OBJECTS = "test_python_gc_collected_objects_total"
TRACKED = "test_python_gc_objects"
UNCOLLECTABLE = "test_python_gc_uncollectable_objects_total"
PAUSES = "test_python_gc_duration_seconds_count"


@pytest.fixture
def readings() -> Iterator[CollectorReadings]:
    """Readings of a process in which nothing else sets the collector off."""
    gc.disable()
    gc.collect()
    readings = CollectorReadings(registry, "web-90")
    readings.start()
    yield readings
    readings.stop()
    gc.enable()


def make_garbage(times: int) -> None:
    for _ in range(times):
        cycle: list[object] = []
        cycle.append(cycle)


def test_collections_are_counted_by_generation(readings: CollectorReadings) -> None:
    with moved(COLLECTIONS) as collections, moved(OBJECTS) as objects, moved(PAUSES) as pauses:
        make_garbage(5)
        gc.collect(0)
        gc.collect(2)
        gc.collect(2)
        readings.publish()

    assert collections == {("web-90", "0"): 1, ("web-90", "2"): 2}
    assert objects[("web-90", "0")] == 5
    assert pauses == {("0",): 1, ("2",): 2}


def test_objects_are_counted_by_generation_and_those_that_stay(
    readings: CollectorReadings,
) -> None:
    gc.collect()
    kept: list[object] = [[] for _ in range(1000)]
    readings.publish_objects()
    young = read(TRACKED)["web-90", "0"]
    gc.collect()
    readings.publish_objects()

    assert young >= len(kept)
    assert read(TRACKED)["web-90", "0"] < len(kept) <= read(TRACKED)["web-90", "2"]


def test_uncollectable_objects_are_counted(readings: CollectorReadings) -> None:
    readings._note("start", {})
    readings._note("stop", {"generation": 2, "collected": 1, "uncollectable": 3})
    with moved(UNCOLLECTABLE) as uncollectable:
        readings.publish()

    assert uncollectable == {("web-90", "2"): 3}


def test_nothing_is_noted_after_the_end(readings: CollectorReadings) -> None:
    readings.stop()
    readings.stop()

    with moved(COLLECTIONS) as collections:
        gc.collect()
        readings.publish()

    assert collections == {}


@pytest.mark.timeout(20)
def test_collection_while_a_metric_is_locked_does_not_wait(
    readings: CollectorReadings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every metric of the readings is locked, as when the collector interrupts one of them."""
    held = threading.Lock()

    class Locked:
        def inc(self, amount: float = 1) -> None:
            with held:
                pass

        observe = inc

    for name in ("_collections", "_objects", "_duration"):
        monkeypatch.setattr(readings, name, [Locked()] * 3)
    done = threading.Event()

    def collect() -> None:
        with held:
            gc.collect()
        done.set()

    thread = threading.Thread(target=collect, daemon=True)
    thread.start()
    assert done.wait(5)
    thread.join()
    readings.publish()


def test_notes_of_a_publisher_that_hangs_are_bounded(readings: CollectorReadings) -> None:
    for _ in range(20_000):
        readings._note("start", {})
        readings._note("stop", {"generation": 0, "collected": 1, "uncollectable": 0})

    assert len(readings._noted) == 10_000
