"""Scheduling lag: what a late wake-up counts as, and that a held interpreter lock shows."""

import sys
import time

import pytest

from prefork_metrics.runtime.lag import MOST, LagReadings, missed
from tests.prefork_metrics.registry import moved, registry

BUCKETS = "test_scheduling_lag_seconds_bucket"
COUNT = "test_scheduling_lag_seconds_count"


@pytest.mark.parametrize(
    ("late", "observed"),
    [
        (-0.001, [0]),
        (0, [0]),
        (0.0002, [0.0002]),
        (0.05, [0.05]),
        (0.1, [0.1]),
        (0.15, [0.15, 0.05]),
        (0.2, [0.2, 0.1]),
        (0.3, [0.3, 0.2, 0.1]),
        (1.05, [1.05, 0.95, 0.85, 0.75, 0.65, 0.55, 0.45, 0.35, 0.25, 0.15, 0.05]),
    ],
)
def test_each_100_ms_missed_counts_once(late: float, observed: list[float]) -> None:
    assert missed(late) == pytest.approx(observed)


def test_frozen_process_is_bounded() -> None:
    assert len(missed(86_400)) == MOST


def test_held_interpreter_lock_shows() -> None:
    readings = LagReadings(registry)
    before = sys.getswitchinterval()
    readings.start()
    try:
        time.sleep(0.15)
        # No other thread runs until this one gives the lock up by itself.
        sys.setswitchinterval(10)
        until = time.monotonic() + 0.4
        while time.monotonic() < until:
            pass
    finally:
        sys.setswitchinterval(before)
        time.sleep(0.02)
        readings.stop()

    with moved(BUCKETS) as buckets, moved(COUNT) as count:
        readings.publish()

    # The sleep began up to 100 ms before the lock was taken for 400 ms.
    assert count[()] - buckets[("0.2",)] >= 1
    assert count[()] >= 4


def test_idle_process_shows_none_above_25_ms() -> None:
    for _attempt in range(5):
        readings = LagReadings(registry)
        readings.start()
        time.sleep(0.35)
        readings.stop()
        with moved(BUCKETS) as buckets, moved(COUNT) as count:
            readings.publish()
        assert count[()] >= 2
        # Other processes of the test run are on the same cores: one quiet moment is enough.
        if count[()] == buckets[("0.025",)]:
            return
    pytest.fail("never a quiet moment")


def test_end_does_not_wait_for_the_sleep() -> None:
    readings = LagReadings(registry)
    readings.start()
    started = time.monotonic()
    readings.stop()

    assert time.monotonic() - started < 0.09
