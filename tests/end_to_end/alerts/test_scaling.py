"""Durations are divided wherever they stand, and nothing else is."""

import pytest

from tests.end_to_end.alerts.scaling import divided, expression, routes, rules


@pytest.mark.parametrize(
    ("duration", "factor", "expected"),
    [("5m", 60, "5000ms"), ("0m", 60, "0ms"), ("1h30m", 60, "90000ms"), ("15ms", 60, "1ms")],
)
def test_durations(duration: str, factor: float, expected: str) -> None:
    assert divided(duration, factor) == expected


def test_ranges_are_divided_and_strings_are_not() -> None:
    text = 'rate(x{a="[5m]"}[5m]) * 300 >= 5'
    assert expression(text, 60) == 'rate(x{a="[5m]"}[5000ms]) * 300 >= 5'


def test_steps_of_subqueries_are_divided_too() -> None:
    assert expression("count_over_time((up)[1h:1m]) / 60", 60) == (
        "count_over_time((up)[60000ms:1000ms]) / 60"
    )


def test_rules_and_routes() -> None:
    document = {"groups": [{"rules": [{"expr": "avg_over_time(x[1d])", "for": "10m"}]}]}
    assert rules(document, 60)["groups"][0]["rules"] == [
        {"expr": "avg_over_time(x[1440000ms])", "for": "10000ms"}
    ]
    assert routes({"routes": [{"group_wait": "30s", "receiver": "5m"}]}, 60) == {
        "routes": [{"group_wait": "500ms", "receiver": "5m"}]
    }
