"""Every alert keeps the rules for alerts, and each of those rules finds what breaks it."""

from typing import Any

import pytest

from tests.monitoring.alert_lint import CHECKS, SCRAPE_SECONDS, lint
from tests.monitoring.rules import ALERTS, alert

JOB = 'job="vibebox-backend"'
GOOD = "HighDockerFailureRate"
CALLS = f"sum by (job, operation) (rate(vibebox_docker_operations_total{{{JOB}}}[5m]))"
BAD = f"sum by (job, operation) (increase(vibebox_docker_operations_total{{{JOB}}}[5m])) >= 3"
P95 = "histogram_quantile(0.95, sum by (job, le) (rate({}[5m]))) > {} and {} * 300 >= 5"
HTTP = f"vibebox_http_request_duration_seconds_bucket{{{JOB}}}"
BROKEN: dict[str, list[dict[str, Any]]] = {
    "names": [
        {"expr": f"{CALLS.replace('docker', 'moby')} > 1"},
        {"expr": f"{CALLS.replace('job=', 'pod=')} > 1"},
        {"expr": CALLS.replace(JOB, f'{JOB},status="failed"')},
        {"expr": CALLS.replace(f"{{{JOB}}}", "")},
    ],
    "counters": [
        {"expr": f"sum by (job) (vibebox_docker_operations_total{{{JOB}}}) > 1"},
        {"expr": f"sum by (job) (rate(vibebox_workers{{{JOB}}}[5m])) > 1"},
    ],
    "ranges": [{"expr": f"{CALLS.replace('5m', '45s')} > 1"}],
    "ratios": [
        {"expr": f"{CALLS} / {CALLS.replace(', operation', '')} > 0.1 and {CALLS} * 300 >= 5"},
        {"expr": f"rate(vibebox_log_entries_total{{{JOB}}}[5m]) / {CALLS} * 300 >= 5"},
    ],
    "floors": [
        {"expr": f"{CALLS} / {CALLS} > 0.1"},
        {"expr": P95.partition(" and")[0].format(HTTP, 1)},
        {"expr": P95.format(HTTP, 1, CALLS)},
        {"expr": f"{CALLS} / {CALLS} > 0.1 and {CALLS} * 300 >= 5"},
        {"expr": f"{CALLS} / {CALLS} > 0.1 and {BAD.replace('>= 3', '>= 1')}"},
    ],
    "quantiles": [
        {"expr": P95.format(HTTP, 1, CALLS).replace("job, le", "job")},
        {"expr": P95.format(HTTP, 2, CALLS)},
        {"expr": P95.format(HTTP, 30, CALLS)},
    ],
    "counts": [{"expr": f"sum by (job) (vibebox_environments{{{JOB}}}) > 1"}],
    "labels": [
        {"labels": {"severity": "warning"}},
        {"labels": {"severity": "urgent", "component": "docker"}},
        {"labels": {"severity": "warning", "component": "{{ $value }}"}},
    ],
    "annotations": [
        {"annotations": {"summary": "Docker fails"}},
        {"annotations": {**ALERTS[GOOD]["annotations"], "summary": "{{ $labels.instance }}"}},
    ],
    "runbooks": [{"annotations": {"runbook_url": "https://example.org/NoSuchAlert.md"}}],
}


@pytest.mark.parametrize("name", ALERTS)
def test_alert_keeps_the_rules(name: str) -> None:
    assert lint(ALERTS[name]) == []


def test_a_floor_of_bad_events_is_one_of_traffic_too() -> None:
    change = {"expr": f"{CALLS} / {CALLS} > 0.1 and {BAD}"}
    assert lint({**alert(GOOD), **change}) == []


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_each_rule_finds_what_breaks_it(check: Any) -> None:
    for change in BROKEN[check.__name__]:
        assert list(check({**alert(GOOD), **change})), change


def test_warnings_and_their_critical_sibling_share_a_signal() -> None:
    signals: dict[str, list[str]] = {}
    for rule in ALERTS.values():
        if signal := rule["labels"].get("signal"):
            signals.setdefault(signal, []).append(rule["labels"]["severity"])
    assert signals
    for found in signals.values():
        assert found.count("critical") == 1 and set(found) == {"critical", "warning"}, signals


def test_ranges_are_measured_in_the_scrapes_of_the_configuration() -> None:
    from tests.monitoring.rules import PROMETHEUS

    assert f"scrape_interval: {SCRAPE_SECONDS}s" in (PROMETHEUS / "prometheus.yml").read_text()
