"""The system families are those of METRICS.md: dashboards and alerts are written against it."""

import pytest

from prefork_metrics.family import HistogramFamily
from tests.prefork_metrics.registry import registry

assert registry.process and registry.server  # declared when they are first asked for
FAMILIES = {family.name: family for family in registry.families}


@pytest.mark.parametrize(
    ("name", "kind", "labels"),
    [
        ("test_process_cpu_seconds_total", "counter", ["role", "worker", "mode"]),
        ("test_process_resident_memory_bytes", "gauge", ["role", "worker"]),
        ("test_process_proportional_memory_bytes", "gauge", ["role", "worker"]),
        ("test_process_virtual_memory_bytes", "gauge", ["role", "worker"]),
        ("test_python_allocated_blocks", "gauge", ["worker"]),
        ("test_python_gc_objects", "gauge", ["worker", "generation"]),
        ("test_python_gc_uncollectable_objects_total", "counter", ["worker", "generation"]),
        ("test_memory_limit_bytes", "gauge", ["role"]),
        ("test_cpu_limit_cores", "gauge", ["role"]),
        ("test_process_open_fds", "gauge", ["worker"]),
        ("test_process_max_fds", "gauge", ["worker"]),
        ("test_process_threads", "gauge", ["worker"]),
        ("test_process_start_time_seconds", "gauge", ["worker"]),
        ("test_python_gc_collections_total", "counter", ["worker", "generation"]),
        ("test_python_gc_collected_objects_total", "counter", ["worker", "generation"]),
        ("test_python_gc_duration_seconds", "histogram", ["generation"]),
        ("test_scheduling_lag_seconds", "histogram", []),
        ("test_worker_threads", "gauge", ["state"]),
        ("test_accept_queue_depth", "gauge", []),
        ("test_accept_queue_limit", "gauge", []),
        ("test_workers", "gauge", []),
        ("test_worker_exits_total", "counter", ["reason"]),
    ],
)
def test_name_type_and_labels(name: str, kind: str, labels: list[str]) -> None:
    assert FAMILIES[name].kind == kind
    assert list(FAMILIES[name].labels) == labels


def test_buckets() -> None:
    def bounds(family: HistogramFamily) -> list[float]:
        return list(family.metric._upper_bounds[:-1])

    process = registry.process
    assert bounds(process.gc_duration) == [0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1]
    assert bounds(process.scheduling_lag) == [
        *(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 10)
    ]
