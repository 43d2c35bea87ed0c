"""Panels leave out what would say what is not so: a step never come to, a period not whole."""

from pathlib import Path

import pytest

from app.metrics.catalogue import NO_STEP, PROBE_STEPS
from tests.backends.prometheus import Prometheus
from tests.conftest import require
from tests.monitoring.boards.lint_boards import panels
from tests.monitoring.boards.promql import substituted
from tests.monitoring.boards.window import board, query_of
from tests.monitoring.rules import run

pytestmark = pytest.mark.integration

JOB = 'job="vibebox-backend",instance="a"'
STEPS = "Steps of the synthetic user"
ROUNDS = (NO_STEP, "sign_in", "command", "sign_out")
"""Steps at which rounds fail, one a minute."""


def _passes(series: dict[str, str], checks: list[dict[str, object]], directory: Path) -> None:
    require("Prometheus", Prometheus.installed())
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": found} for name, found in series.items()],
        "promql_expr_test": checks,
    }
    done = run({"evaluation_interval": "1m", "tests": [test]}, [], directory)
    assert done.returncode == 0, done.stdout + done.stderr


def test_steps_after_the_one_that_failed_are_not_shown(tmp_path: Path) -> None:
    series = {
        f'vibebox_probe_failed_step{{{JOB},step="{step}"}}': " ".join(
            str(int(step == failed)) for failed in ROUNDS
        )
        for step in (*PROBE_STEPS, NO_STEP)
    }
    (panel,) = (each for each in panels(board("slo")) if each["title"] == STEPS)
    assert [target["legendFormat"] for target in panel["targets"]] == [*PROBE_STEPS]
    checks: list[dict[str, object]] = []
    for minute, failed in enumerate(ROUNDS):
        reached = [str(step) for step in PROBE_STEPS] if failed == NO_STEP else _until(failed)
        checks += [
            {
                "expr": substituted(target["expr"]),
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": int(step == failed)}]
                if step in reached
                else [],
            }
            for step, target in zip(PROBE_STEPS, panel["targets"], strict=True)
        ]
    _passes(series, checks, tmp_path)


def _until(failed: str) -> list[str]:
    steps = [str(step) for step in PROBE_STEPS]
    return steps[: steps.index(failed) + 1]


@pytest.mark.parametrize(("begun", "shown"), [(0, True), (15, False)])
def test_the_period_before_is_shown_where_it_is_whole(
    begun: int, shown: bool, tmp_path: Path
) -> None:
    """Of 20 minutes; of those before, Prometheus has all or a quarter."""
    values = f"_x{begun - 1} 0+1x40" if begun else "0+1x40"
    query = substituted(query_of("business", "Sign-ups (shown)", "B"), __range="20m")
    samples = [{"labels": "{}", "value": 20}] if shown else []
    check: dict[str, object] = {"expr": query, "eval_time": "41m", "exp_samples": samples}
    _passes({f'vibebox_business_signups{{{JOB},way="open"}}': values}, [check], tmp_path)
