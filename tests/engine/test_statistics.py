"""Docker's statistics, as both versions of control groups give them."""

from typing import Any

import pytest

from app.core.errors import EngineConflictError, EngineError
from app.engine.statistics import container_stats, run_counters

READ = "2026-01-31T12:00:01.5Z"
BEFORE = {
    "read": "2026-01-31T12:00:01.25Z",
    "cpu_stats": {"cpu_usage": {"total_usage": 2_500_000_000}},
}


def _answer(**changes: Any) -> dict[str, Any]:
    return {
        "read": READ,
        "cpu_stats": {
            "cpu_usage": {"total_usage": 3_000_000_000},
            "throttling_data": {"periods": 9, "throttled_periods": 3, "throttled_time": 70},
        },
        "memory_stats": {"usage": 100, "limit": 1000, "stats": {"inactive_file": 30}},
        "blkio_stats": {
            "io_service_bytes_recursive": [
                {"op": "Read", "value": 1}, {"op": "write", "value": 2},
                {"op": "Total", "value": 3}, {"op": "Read", "value": 10},
            ]
        },
        "networks": {name: {"rx_bytes": 5, "tx_bytes": 6} for name in ("eth0", "eth1")},
        "pids_stats": {"current": 7},
        **changes,
    }  # fmt: skip


def test_numbers_are_those_of_docker_stats() -> None:
    stats = container_stats(_answer(), _answer(**BEFORE))
    assert (stats.cpu_percent, stats.cpu_seconds) == (200.0, 3.0)
    assert (stats.memory_bytes, stats.memory_limit_bytes) == (70, 1000)
    assert (stats.network_rx_bytes, stats.network_tx_bytes) == (10, 12)
    assert (stats.block_read_bytes, stats.block_write_bytes) == (11, 2)
    assert (stats.pids, stats.read_at.isoformat()) == (7, "2026-01-31T12:00:01.500000+00:00")


def test_first_version_has_the_whole_tree_under_another_name() -> None:
    memory = {"usage": 100, "limit": 1, "stats": {"inactive_file": 1, "total_inactive_file": 40}}
    assert run_counters(_answer(memory_stats=memory)).memory_bytes == 60


def test_what_is_not_counted_is_nothing() -> None:
    bare = _answer(networks=None, blkio_stats={"io_service_bytes_recursive": None}, pids_stats={})
    stats = container_stats(bare, bare)
    assert (stats.network_rx_bytes, stats.block_read_bytes, stats.pids) == (0, 0, 0)


@pytest.mark.parametrize(
    "change", [{"read": "0001-01-01T00:00:00Z"}, {"memory_stats": {}}], ids=["never", "gone"]
)
def test_container_that_does_not_run_is_a_conflict(change: dict[str, Any]) -> None:
    with pytest.raises(EngineConflictError):
        container_stats(_answer(**change), _answer())


def test_what_is_no_answer_is_an_error() -> None:
    with pytest.raises(EngineError, match="unknown way"):
        run_counters(_answer(cpu_stats=None))


def test_totals_are_since_the_start_of_the_run() -> None:
    memory = {"usage": 100, "limit": 1000, "max_usage": 400, "stats": {"inactive_file": 30}}
    counters = run_counters(_answer(memory_stats=memory))
    assert (counters.cpu_ns, counters.throttled_ns) == (3_000_000_000, 70)
    assert (counters.memory_bytes, counters.memory_peak_bytes) == (70, 400)
    assert counters.oom_kills is None
    assert counters.read_at_ns == 1_769_860_801_500_000_000


def test_container_that_began_anew_between_the_samples_has_no_rate() -> None:
    later = {**BEFORE, "cpu_stats": {"cpu_usage": {"total_usage": 9_000_000_000}}}
    assert container_stats(_answer(), _answer(**later)).cpu_percent == 0
