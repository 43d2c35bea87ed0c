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


GAPS = {"target away": "40x8 stale _x10", "Prometheus away": "40x8 _x11"}
"""A total that is scraped until 120 s, and again from 300 s on; a Prometheus that was away has
noted no end of its series, and finds their last samples for five minutes."""
AFTER = {"rises": ("45x8", 5), "begins anew": ("3x8", 3), "stays": ("40x8", 0)}


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize(
    ("name", "after"),
    # The ledger never begins anew.
    [
        (name, after)
        for name in CASES
        for after in AFTER
        if (name, after) != ("kills", "begins anew")
    ],
)
def test_what_happened_while_nobody_was_scraped_is_in_the_next_bar(
    name: str, after: str, gap: str, tmp_path: Path
) -> None:
    require("Prometheus", Prometheus.installed())
    panel, series, labels = CASES[name]
    values, missed = AFTER[after]
    # What a ledger told last stands until then.
    meanwhile = 0 if (name, gap) == ("kills", "Prometheus away") else None
    checks: list[dict[str, object]] = [
        {
            "expr": _of_a_bar(panel),
            "eval_time": f"{minute * BAR + LATE}s",
            "exp_samples": [{"labels": labels, "value": value}] if value is not None else [],
        }
        for minute, value in ((2, 0), (3, meanwhile), (4, meanwhile), (5, missed), (6, 0))
    ]
    _passes(series, f"{GAPS[gap]} {values}", checks, tmp_path)


@pytest.mark.parametrize("name", CASES)
def test_bars_count_each_event_once(name: str, tmp_path: Path) -> None:
    require("Prometheus", Prometheus.installed())
    panel, series, labels = CASES[name]
    rises = [0] * 8 + [events for bar in BARS for events in bar]
    values = " ".join(str(total) for total in accumulate(rises, initial=FOREGOING))
    checks: list[dict[str, object]] = [
        {
            "expr": _of_a_bar(panel),
            "eval_time": f"{(number + 3) * BAR + LATE}s",
            "exp_samples": [{"labels": labels, "value": sum(bar)}],
        }
        for number, bar in enumerate(BARS)
    ]
    _passes(series, values, checks, tmp_path)


def _of_a_bar(panel: tuple[str, str]) -> str:
    return substituted(
        query_of(*panel),
        __rate_interval=f"{BAR + SCRAPE}s",
        __interval=f"{BAR}s",
        __interval_ms=str(BAR * 1000),
    )


def _passes(series: str, values: str, checks: list[dict[str, object]], directory: Path) -> None:
    test = {
        "interval": f"{SCRAPE}s",
        "input_series": [{"series": series, "values": values}],
        "promql_expr_test": checks,
    }
    done = run({"evaluation_interval": f"{SCRAPE}s", "tests": [test]}, [], directory)
    assert done.returncode == 0, done.stdout + done.stderr
