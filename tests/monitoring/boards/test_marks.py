"""The marks of restarts and releases stand where there was one, and nowhere else."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from monitoring.grafana.generator.surroundings import annotations
from tests.backends.prometheus import Prometheus
from tests.conftest import require
from tests.monitoring.boards.promql import substituted
from tests.monitoring.rules import run

pytestmark = pytest.mark.integration

JOB = 'job="vibebox-backend"'
QUARTER = 15
"""Seconds between two samples."""


class Case(NamedTuple):
    """A history, and by the seconds after which we look: whether there is a mark."""

    mark: str
    series: dict[str, str]
    expected: dict[int, bool]


def _server(started: str, up: str) -> dict[str, str]:
    of = f'{{{JOB},instance="a"}}'
    return {
        f'vibebox_process_start_time_seconds{{{JOB},instance="a",worker="master"}}': started,
        f"up{of}": up,
    }


def _versions(**values: str) -> dict[str, str]:
    return {
        f'vibebox_build_info{{{JOB},instance="a",version="{name}"}}': samples
        for name, samples in values.items()
    }


CASES = {
    "at once": Case(
        "Restarts", _server("-100x9 150x30", "1x40"), {135: False, 165: True, 225: False}
    ),
    "after minutes": Case(
        "Restarts",
        _server("-100x9 stale _x18 450x30", "1x9 0x19 1x30"),
        {300: False, 465: True, 600: False},
    ),
    "not reached for minutes": Case(
        "Restarts", _server("-100x9 stale _x18 -100x30", "1x9 0x19 1x30"), {450: False}
    ),
    "a new instance": Case("Restarts", _server("_x9 140x30", "_x9 1x30"), {150: False, 300: False}),
    "one version after another": Case(
        "Releases",
        _versions(one="1x9 stale", two="_x9 1x40"),
        {120: False, 165: True, 300: False},
    ),
    "back to the one before": Case(
        "Releases",
        _versions(one="1x9 stale _x9 1x40", two="_x9 1x9 stale"),
        {315: True, 450: False},
    ),
    "another version after minutes": Case(
        "Releases", _versions(one="1x9 stale", two="_x29 1x40"), {465: True, 600: False}
    ),
    "the same version after minutes": Case(
        "Releases", _versions(one="1x9 stale _x18 1x40"), {450: False}
    ),
    "the first version": Case("Releases", _versions(one="_x9 1x40"), {165: False}),
}


@pytest.mark.parametrize("name", CASES)
def test_marks_stand_where_something_happened(name: str, tmp_path: Path) -> None:
    require("Prometheus", Prometheus.installed())
    case = CASES[name]
    mark = next(each for each in annotations() if each["name"] == case.mark)
    query = substituted(mark["expr"], __rate_interval="1m")
    checks: list[dict[str, Any]] = [
        {
            "expr": f"count({query}) > bool 0 or vector(0)",
            "eval_time": f"{seconds}s",
            "exp_samples": [{"labels": "{}", "value": int(marked)}],
        }
        for seconds, marked in case.expected.items()
    ]
    series = [{"series": name, "values": values} for name, values in case.series.items()]
    test = {
        "interval": f"{QUARTER}s",
        "input_series": series,
        "promql_expr_test": checks,
    }
    done = run({"evaluation_interval": f"{QUARTER}s", "tests": [test]}, [], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
