"""Where the source of an alert's series is gone, an alert tells: itself, or another one."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitoring.rules import sources
from monitoring.rules.rule import Alert
from monitoring.rules.sources import SOURCES, all_alerts, of_alert, of_series
from tests.backends.prometheus import Prometheus
from tests.conftest import require
from tests.monitoring.promql import SERIES, parse, selectors
from tests.monitoring.rules import ALERTS, cases_of, records_of, run

README = Path(__file__).parents[2] / "monitoring" / "README.md"
_PART = re.compile(r"(?P<first>[\d.]+)(?P<step>[+-][\d.]+)?(?:x(?P<times>\d+))?$")
GONE_AT = 20
"""After how many steps of 15 s a source is gone; `remains` of each source says the same."""


def expanded(values: str) -> list[str]:
    """Return the samples that promtool makes of this text."""
    found: list[str] = []
    for part in values.split():
        match = _PART.match(part)
        if match is None:
            found.append(part)
            continue
        first, step = float(match["first"]), float(match["step"] or 0)
        found += [f"{first + n * step:g}" for n in range(int(match["times"] or 0) + 1)]
    return found


def ended(values: str) -> str:
    """Return the samples until the source is gone; Prometheus marks series that it misses."""
    return " ".join([*expanded(values)[:GONE_AT], "stale"])


def firing_series(alert: Alert) -> list[dict[str, str]]:
    """Return those with which the alert's own test lets it fire."""
    firing = next(it for it in cases_of(alert.name)["tests"] if it["name"].startswith("fires"))
    return [dict(it) for it in firing.get("input_series", [])]


def scenario(alert: Alert, source: str) -> dict[str, Any]:
    """Return a test of promtool: the alert would fire, but for its source, which is gone."""
    found = SOURCES[source]
    remaining = [{"series": name, "values": values} for name, values in found.remains]
    told = {re.sub(r"\{.*", "", one["series"]) for one in remaining}
    gone = []
    for one in firing_series(alert):
        name = re.sub(r"\{.*", "", one["series"])
        # What its own test says of the series that are left to see it by is another story.
        if name not in told and "instance=" in one["series"]:
            gone.append({**one, "values": ended(one["values"])})
    names = "|".join(found.tells)
    fires = f'count(ALERTS{{alertname=~"{names}",alertstate="firing"}}) > bool 0'
    minute = GONE_AT * 15 // 60 + found.within
    check = {
        "expr": fires,
        "eval_time": f"{minute}m",
        "exp_samples": [{"labels": "{}", "value": 1}],
    }
    return {
        "name": f"{alert.name} without {source}",
        "interval": "15s",
        "input_series": gone + remaining,
        "promql_expr_test": [check],
    }


@pytest.mark.integration
@pytest.mark.parametrize("source", SOURCES)
def test_the_end_of_a_source_is_told(source: str, tmp_path: Path) -> None:
    require("Prometheus", Prometheus.installed())
    tellers = [ALERTS[name] for name in SOURCES[source].tells]
    rules = [record for rule in tellers for record in records_of(rule["expr"])] + tellers
    reading = [alert for alert in all_alerts() if source in of_alert(alert)]
    assert reading, "nobody reads from it"
    document = {"tests": [scenario(alert, source) for alert in reading]}
    result = run({**document, "evaluation_interval": "15s"}, rules, tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


def read_by_alerts() -> Iterator[str]:
    for alert in all_alerts():
        yield from (name for name, _ in sources.series_of(alert.expression))


def test_every_series_of_an_alert_has_a_source() -> None:
    assert set(read_by_alerts()) <= set(SERIES)
    for name in read_by_alerts():
        assert {"target", "configuration"} <= set(of_series(name)) <= set(SOURCES), name


@pytest.mark.parametrize("alert", all_alerts(), ids=lambda alert: alert.name)
def test_series_are_found_as_a_parser_finds_them(alert: Alert) -> None:
    # Of all objectives there are records of one name, which differ in this label.
    records = [
        rule
        for rule in records_of(alert.expression)
        if "slo" not in rule.get("labels", {})
        or f'slo="{rule["labels"]["slo"]}"' in alert.expression
    ]
    rules = [rule["expr"] for rule in records] + [alert.expression]
    parsed = {found.name for rule in rules for found in selectors(parse(rule))}
    found = {name for name, _ in sources.series_of(alert.expression)}
    assert found == {name for name in parsed if ":" not in name}


def test_the_guide_has_the_table() -> None:
    assert sources.table() in README.read_text(), "run: make generate"
