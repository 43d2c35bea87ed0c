"""Burn rates equal an independent calculation, and budgets page in time and not in vain."""

import random
from pathlib import Path
from typing import Any

import pytest

from monitoring.rules.objectives import STEPS
from tests.backends.prometheus import Prometheus
from tests.backends.prometheus_releases import PROMTOOLS, missing_promtool
from tests.conftest import require
from tests.monitoring.rules import ALERTS, RECORDS, run
from tests.sizes import size

pytestmark = pytest.mark.integration

JOB = 'job="vibebox-backend"'
ROUTE = 'method="GET",route="/api/v1/environments"'
# Neither probes nor streams, nor what strangers ask for, may count, however many of them fail.
PROBE = 'method="GET",route="/health/ready"'
STREAM = 'method="GET",route="/api/v1/environments/<environment_id>/status/stream"'
STRANGER = 'method="GET",route="unmatched"'
REQUESTS = "vibebox_http_requests_total"
BUCKET = "vibebox_http_request_duration_seconds_bucket"
COUNT = "vibebox_http_request_duration_seconds_count"
BUDGETS = {"availability": 0.001, "latency": 0.01}
TOLERANCE = 0.001
FIRING = 'ALERTS{alertname="AvailabilityBudgetBurnFast",alertstate="firing"}'


@pytest.fixture(autouse=True)
def installed() -> None:
    require("Prometheus", Prometheus.installed())


def series(selector: str, instance: str, values: str) -> dict[str, str]:
    name, _, labels = selector.partition("{")
    return {"series": f'{name}{{{JOB},instance="{instance}",{labels}', "values": values}


def up(instance: str, values: str) -> dict[str, str]:
    return {"series": f'up{{{JOB},instance="{instance}"}}', "values": values}


def cumulated(counts: list[int]) -> str:
    """Return the values of a counter that moved by these counts, one a step."""
    total, values = 0, ["0"]
    for count in counts:
        total += count
        values.append(str(total))
    return " ".join(values)


class History:
    """Requests of two instances, a random number a minute, some of them bad in either way."""

    def __init__(self, minutes: int, seed: int) -> None:
        chance = random.Random(seed)
        self.total = {i: [chance.randint(50, 400) for _ in range(minutes)] for i in "ab"}
        self.bad = {
            slo: {
                i: [sum(chance.random() < 20 * budget for _ in range(n)) for n in self.total[i]]
                for i in "ab"
            }
            for slo, budget in BUDGETS.items()
        }

    def series(self) -> list[dict[str, str]]:
        """Return what Prometheus would have scraped, with traffic that must not count."""
        found = [up("a", "1x9999"), up("b", "1x9999")]
        for i in "ab":
            total = self.total[i]
            failed, slow = self.bad["availability"][i], self.bad["latency"][i]
            good = [n - f for n, f in zip(total, failed, strict=True)]
            fast = [n - f for n, f in zip(total, slow, strict=True)]
            found += [
                series(f'{REQUESTS}{{{ROUTE},status_code="200"}}', i, cumulated(good)),
                series(f'{REQUESTS}{{{ROUTE},status_code="503"}}', i, cumulated(failed)),
                series(f'{BUCKET}{{{ROUTE},status_code="200",le="0.5"}}', i, cumulated(fast)),
                series(f'{BUCKET}{{{ROUTE},status_code="200",le="1"}}', i, cumulated(total)),
                series(f'{COUNT}{{{ROUTE},status_code="200"}}', i, cumulated(total)),
            ]
            for other in (PROBE, STREAM, STRANGER):
                found += [
                    series(f'{REQUESTS}{{{other},status_code="503"}}', i, cumulated(total)),
                    series(f'{BUCKET}{{{other},status_code="503",le="0.5"}}', i, "0x9999"),
                    series(f'{COUNT}{{{other},status_code="503"}}', i, cumulated(total)),
                ]
        return found

    def burn_rate(self, slo: str, end: int, minutes: int, open_left: bool = False) -> float:
        """Return bad over all requests in the window, over the budget.

        open_left: a sample at the window's beginning is outside of it, as in Prometheus 3.
        """
        window = slice(max(0, end - minutes + open_left), end)
        bad = sum(sum(self.bad[slo][i][window]) for i in "ab")
        return bad / sum(sum(self.total[i][window]) for i in "ab") / BUDGETS[slo]


def close_to(expression: str, expected: float, minute: int) -> dict[str, Any]:
    """Return a check of promtool, which itself knows no tolerance."""
    return {
        "expr": f"abs({expression} / {expected!r} - 1) < bool {TOLERANCE}",
        "eval_time": f"{minute}m",
        "exp_samples": [{"labels": "{}", "value": 1}],
    }


@pytest.mark.parametrize("release", PROMTOOLS)
def test_burn_rates_equal_an_independent_calculation(release: str, tmp_path: Path) -> None:
    promtool = PROMTOOLS[release]
    require("promtool", missing_promtool(promtool))
    direct = {"5m": 5, "30m": 30, "1h": 60, "2h": 120, "6h": 360}
    end = 400
    history = History(end, seed=6)
    checks = [
        close_to(
            f'sum(vibebox:slo_errors:burnrate{name}{{slo="{slo}"}})',
            history.burn_rate(slo, end, minutes, open_left=release == "3"),
            end,
        )
        for slo in BUDGETS
        for name, minutes in direct.items()
    ]
    document = {
        "evaluation_interval": f"{end}m",
        "tests": [{"interval": "1m", "input_series": history.series(), "promql_expr_test": checks}],
    }
    records = [rule for rule in RECORDS if rule["record"].endswith(tuple(direct))]
    result = run(document, records, tmp_path, program=promtool)
    assert result.returncode == 0, result.stdout + result.stderr


def test_recorded_burn_rates_equal_an_independent_calculation(tmp_path: Path) -> None:
    day = 24 * 60
    end = day + 240
    history = History(end, seed=7)
    whole = {slo: history.burn_rate(slo, end, end) for slo in BUDGETS}
    checks = [
        close_to(f'sum({name}{{slo="{slo}"}})', value, end)
        for slo in BUDGETS
        for name, value in (
            ("vibebox:slo_errors:burnrate1d", history.burn_rate(slo, end, day)),
            # What was not seen of the window counts as clean.
            ("vibebox:slo_errors:burnrate3d", whole[slo] * seen(end, "3d")),
            ("vibebox:slo_budget:remaining_ratio30d", 1 - whole[slo] * seen(end, "30d")),
        )
    ]
    document = {
        # As often as samples come: each then counts in as many records as every other.
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": history.series(), "promql_expr_test": checks}],
    }
    wanted = ("rate5m", "burnrate1d", "burnrate3d", "30d")
    records = [rule for rule in RECORDS if rule["record"].endswith(wanted)]
    result = run(document, [it for it in records if ":burnrate5m" not in it["record"]], tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


def seen(minutes: int, window: str) -> float:
    """Return the share of a window that so many minutes are, in the steps that it is looked at."""
    step, number = STEPS[window]
    unit = {"m": 1, "h": 60}[step[-1]]
    # One step at the beginning, and the one that is under way.
    return min(minutes // (int(step[:-1]) * unit) + 2, number) / number


def steady(*parts: tuple[int, int]) -> list[dict[str, str]]:
    """Return availability in parts: minutes, and bad ones of 10 000 requests a minute."""
    bad = [count for steps, count in parts for _ in range(steps)]
    good = [10_000 - count for count in bad]
    return [
        up("a", f"1x{len(bad)}"),
        series(f'{REQUESTS}{{{ROUTE},status_code="200"}}', "a", cumulated(good)),
        series(f'{REQUESTS}{{{ROUTE},status_code="500"}}', "a", cumulated(bad)),
    ]


def paging(times: dict[str, bool]) -> list[dict[str, Any]]:
    """Return checks that the page is there at these times, or is not."""
    pages = f"count({FIRING}) or vector(0)"
    return [
        {"expr": pages, "eval_time": time, "exp_samples": [{"labels": "{}", "value": int(pages_)}]}
        for time, pages_ in times.items()
    ]


def fast() -> list[dict[str, Any]]:
    names = ("rate5m", "burnrate30m", "burnrate1h", "burnrate6h", "increase1h", "increase6h")
    records = [
        rule
        for rule in RECORDS
        if rule["record"].endswith(names) and rule.get("labels") == {"slo": "availability"}
    ]
    return [*records, ALERTS["AvailabilityBudgetBurnFast"]]


@pytest.mark.parametrize(
    ("parts", "times"),
    [
        # 6 h, then nothing works.
        (((360, 0), (15, 10_000)), {"6h": False, "6h4m": True}),
        # 14.4 times the budget, and a little for what is lost in rounding.
        (((70, 145),), {"57m": False, "1h": True}),
        # As much on top of a good hour is no such burn over an hour yet.
        (((60, 0), (10, 145)), {"1h5m": False}),
    ],
    ids=["total outage", "14.4 times", "14.4 times for five minutes only"],
)
def test_a_page_comes_in_time(
    parts: tuple[tuple[int, int], ...], times: dict[str, bool], tmp_path: Path
) -> None:
    document = {
        "evaluation_interval": "1m",
        "tests": [
            {"interval": "1m", "input_series": steady(*parts), "promql_expr_test": paging(times)}
        ],
    }
    result = run(document, fast(), tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


def nine_tenths(minutes: int) -> list[dict[str, str]]:
    """Return requests of which 9 in 10 000 fail, a sample each four minutes."""
    return [
        up("a", f"1x{minutes // 4}"),
        series(f'{REQUESTS}{{{ROUTE},status_code="200"}}', "a", f"0+9991x{minutes // 4}"),
        series(f'{REQUESTS}{{{ROUTE},status_code="500"}}', "a", f"0+9x{minutes // 4}"),
    ]


def test_nothing_fires_in_thirty_days_at_nine_tenths_of_the_budget(tmp_path: Path) -> None:
    # Evaluated each hour: the windows are the same, with fewer samples in them.
    minutes = 30 * 24 * 60
    fired = 'sum(count_over_time(ALERTS{alertname=~"Availability.*"}[30d])) or vector(0)'
    spent = 'vibebox:slo_budget:remaining_ratio30d{slo="availability"}'
    checks = [
        {"expr": fired, "eval_time": "30d", "exp_samples": [{"labels": "{}", "value": 0}]},
        close_to(f"sum({spent})", 0.1, minutes),
    ]
    rules = [rule for rule in RECORDS if rule.get("labels") == {"slo": "availability"}]
    alerts = [rule for name, rule in ALERTS.items() if name.startswith("Availability")]
    document = {
        "evaluation_interval": "1h",
        "tests": [
            {"interval": "4m", "input_series": nine_tenths(minutes), "promql_expr_test": checks}
        ],
    }
    result = run(document, [*rules, *alerts], tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


def availability() -> list[dict[str, Any]]:
    """Return everything on this objective."""
    records = [rule for rule in RECORDS if rule.get("labels") == {"slo": "availability"}]
    return [*records, *(ALERTS[f"AvailabilityBudgetBurn{speed}"] for speed in ("Fast", "Slow"))]


def night(every: int, failing: range | None, hours: int) -> list[dict[str, str]]:
    """Return a request every so many minutes, of which those in the range fail (None: all)."""
    times = range(every, hours * 60 + 1, every)
    bad = [1 if failing is None or n in failing else 0 for n in range(len(times))]
    counts = {"500": [0] * (hours * 60), "200": [0] * (hours * 60)}
    for at, is_bad in zip(times, bad, strict=True):
        counts["500" if is_bad else "200"][at - 1] += 1
    return [up("a", f"1x{hours * 60}")] + [
        series(f'{REQUESTS}{{{ROUTE},status_code="{code}"}}', "a", cumulated(found))
        for code, found in counts.items()
    ]


ANY = 'sum(count_over_time(ALERTS{{alertname=~"Availability.*",alertstate="{}"}}[30d]))'


@pytest.mark.parametrize("every", size([1, 20], [1, 5, 20]), ids="{} minutes apart".format)
@pytest.mark.parametrize("failing", [1, 4], ids=["one", "four in a row"])
def test_a_few_errors_in_a_quiet_night_wake_nobody(
    every: int, failing: int, tmp_path: Path
) -> None:
    """One error at 60 requests an hour is 17 times the budget; so is a client that tries again."""
    hours = size(3, 12)
    night_ = night(every, range(4, 4 + failing), hours)
    check = {"expr": ANY.format("firing"), "eval_time": f"{hours}h", "exp_samples": []}
    test = {"input_series": night_, "promql_expr_test": [check]}
    document = {"evaluation_interval": "1m", "tests": [{"interval": "1m", **test}]}
    result = run(document, availability(), tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("every", "within"),
    [(1, "6m"), (10, "1h"), (60, "6h"), *size([], [(5, "30m"), (30, "3h")])],
)
def test_a_night_of_nothing_but_errors_pages(every: int, within: str, tmp_path: Path) -> None:
    test = {"input_series": night(every, None, 8), "promql_expr_test": paging({within: True})}
    document = {"evaluation_interval": "1m", "tests": [{"interval": "1m", **test}]}
    result = run(document, availability(), tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_young_prometheus_knows_what_an_hour_is_of_a_month(tmp_path: Path) -> None:
    """11 % of errors in its first hour were -10,938 % of the budget left."""
    left = 'vibebox:slo_budget:remaining_ratio30d{slo="availability"}'
    # 110 times the budget for an hour is 15 % of it; an hour is looked at as up to three.
    checks = [close_to(f"sum({left})", 1 - 110 * seen(minute, "30d"), minute) for minute in (5, 60)]
    test = {"input_series": steady((61, 1100)), "promql_expr_test": checks}
    document = {"evaluation_interval": "1m", "tests": [{"interval": "1m", **test}]}
    result = run(document, availability(), tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_young_prometheus_takes_ten_minutes_for_no_day(tmp_path: Path) -> None:
    """0.7 % of errors for ten minutes are neither 6 hours nor a day of them."""
    check = {"expr": ANY.format("firing"), "eval_time": "3h", "exp_samples": []}
    test = {"input_series": steady((10, 70), (170, 0)), "promql_expr_test": [check]}
    document = {"evaluation_interval": "1m", "tests": [{"interval": "1m", **test}]}
    result = run(document, availability(), tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
