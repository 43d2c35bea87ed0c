"""The system families are those of METRICS.md: dashboards and alerts are written against it."""

import pytest

from app.metrics import catalogue
from app.metrics.family import HistogramFamily

FAMILIES = {family.name: family for family in catalogue.FAMILIES}


@pytest.mark.parametrize(
    ("name", "kind", "labels"),
    [
        ("vibebox_process_cpu_seconds_total", "counter", ["role", "worker", "mode"]),
        ("vibebox_process_resident_memory_bytes", "gauge", ["role", "worker"]),
        ("vibebox_process_proportional_memory_bytes", "gauge", ["role", "worker"]),
        ("vibebox_memory_limit_bytes", "gauge", ["role"]),
        ("vibebox_cpu_limit_cores", "gauge", ["role"]),
        ("vibebox_process_open_fds", "gauge", ["worker"]),
        ("vibebox_process_max_fds", "gauge", ["worker"]),
        ("vibebox_process_threads", "gauge", ["worker"]),
        ("vibebox_process_start_time_seconds", "gauge", ["worker"]),
        ("vibebox_python_gc_collections_total", "counter", ["worker", "generation"]),
        ("vibebox_python_gc_collected_objects_total", "counter", ["worker", "generation"]),
        ("vibebox_python_gc_duration_seconds", "histogram", ["generation"]),
        ("vibebox_scheduling_lag_seconds", "histogram", []),
        ("vibebox_worker_threads", "gauge", ["state"]),
        ("vibebox_accept_queue_depth", "gauge", []),
        ("vibebox_accept_queue_limit", "gauge", []),
        ("vibebox_workers", "gauge", []),
        ("vibebox_worker_exits_total", "counter", ["reason"]),
    ],
)
def test_name_type_and_labels(name: str, kind: str, labels: list[str]) -> None:
    assert FAMILIES[name].kind == kind
    assert list(FAMILIES[name].labels) == labels


def test_buckets() -> None:
    def bounds(family: HistogramFamily) -> list[float]:
        return list(family._metric._upper_bounds[:-1])

    assert bounds(catalogue.gc_duration) == [0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1]
    assert bounds(catalogue.scheduling_lag) == [
        *(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 10)
    ]
