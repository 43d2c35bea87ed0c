"""Bars of events are as many as there were, and none is counted twice or left out."""

from itertools import accumulate
from pathlib import Path

import pytest

from tests.backends.prometheus import Prometheus
from tests.conftest import require
from tests.monitoring.boards.promql import substituted
from tests.monitoring.boards.window import query_of
from tests.monitoring.rules import run

pytestmark = pytest.mark.integration

SCRAPE, BAR, LATE = 15, 60, 7
"""Seconds between scrapes, of a bar, and from a scrape to the end of each bar."""
BARS = ((0, 0, 0, 0), (1, 0, 0, 0), (0, 0, 0, 2), (0, 1, 0, 1), (137, 5, 0, 0), (0, 0, 0, 0))
"""How many happened before each scrape, bar by bar."""
FOREGOING = 40
CASES = {
    "worker exits": (
        ("telemetry", "Worker exits by reason"),
        'vibebox_worker_exits_total{job="vibebox-backend",instance="a",reason="crashed"}',
        '{reason="crashed"}',
    ),
    "kills": (
        ("team", "Kills for want of memory"),
        'vibebox_team_oom_kills_total{team="a-team"}',
        '{team="a-team"}',
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bars_count_each_event_once(name: str, tmp_path: Path) -> None:
    require("Prometheus", Prometheus.installed())
    panel, series, labels = CASES[name]
    query = substituted(
        query_of(*panel),
        __rate_interval=f"{BAR + SCRAPE}s",
        __interval=f"{BAR}s",
        __interval_ms=str(BAR * 1000),
    )
    rises = [0] * 8 + [events for bar in BARS for events in bar]
    values = " ".join(str(total) for total in accumulate(rises, initial=FOREGOING))
    checks = [
        {
            "expr": query,
            "eval_time": f"{(number + 3) * BAR + LATE}s",
            "exp_samples": [{"labels": labels, "value": sum(bar)}],
        }
        for number, bar in enumerate(BARS)
    ]
    test = {
        "interval": f"{SCRAPE}s",
        "input_series": [{"series": series, "values": values}],
        "promql_expr_test": checks,
    }
    done = run({"evaluation_interval": f"{SCRAPE}s", "tests": [test]}, [], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
