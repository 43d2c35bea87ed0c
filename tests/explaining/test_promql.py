"""What is read out of the expressions of alerts: of all that are shipped, and of odd ones."""

import promql_parser
import pytest
import yaml

from app.explaining import promql
from app.explaining.table import FAMILIES, LABELS, PARTS
from app.stores.prometheus import Series
from monitoring.rules.alerts.alerting import WATCHDOG
from tests.monitoring.rules import FILES, PROMETHEUS

RULES = [
    rule
    for name in FILES
    for group in yaml.safe_load((PROMETHEUS / name).read_text())["groups"]
    for rule in group["rules"]
]
ALERTS = {
    rule["alert"]: rule["expr"] for rule in RULES if "alert" in rule and rule["alert"] != WATCHDOG
}
"""All but the heartbeat, which tells of nothing that is wrong, and is never explained."""


def recorded(name: str, wanted: object) -> list[str]:
    return [rule["expr"] for rule in RULES if rule.get("record") == name]


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_in_the_table(alert: str) -> None:
    """By a label of its own, or by a family; a new one needs a row, or a reason for having none."""
    expression = ALERTS[alert]
    labels = {*LABELS, *PARTS}
    by_label = any(f", {label}" in expression or f'"{label}"' in expression for label in labels)
    found = promql.expanded(expression, recorded)

    assert by_label or any(one.family in FAMILIES for one in found)
    assert all(":" not in one.name for one in found)


@pytest.mark.parametrize("alert", ALERTS)
def test_side_without_threshold_is_an_expression(alert: str) -> None:
    compared = promql.without_threshold(ALERTS[alert])

    promql_parser.parse(compared.side)
    assert ALERTS[alert].startswith(compared.side.split("\n")[0])


@pytest.mark.parametrize(
    ("expression", "side", "upwards"),
    [
        ('up{job="a > b"} == 0', 'up{job="a > b"}', False),
        ("sum by (a) (rate(x[5m])) > 10", "sum by (a) (rate(x[5m]))", True),
        ("a / b > 0.8 and c > 1", "a / b", True),
        ("(a > 1) unless b", "(a > 1) unless b", True),
        ("vector(1)", "vector(1)", True),
        ("min(x) <= 3", "min(x)", False),
        ("x == y", "x", False),
        ("x == 10m", "x", False),
        (")( > 1", ")(", True),
        ("", "", True),
    ],
)
def test_threshold_is_taken_off(expression: str, side: str, upwards: bool) -> None:
    assert promql.without_threshold(expression) == promql.Compared(side, upwards)


@pytest.mark.parametrize(
    ("expression", "values", "ordered"),
    [
        ("x > 2", [0, 1, 3, 0], [3, 1]),
        ("x == 1 and y > 2", [0, 0, 1], [1]),
        ("x == 2", [0, 1, 2, 4], [2, 1, 4]),
        ("x == 0", [1, 0, 2], [0, 1, 2]),
        ("x < 5", [3, 0, 7], [0, 3, 7]),
        ("x >= 0", [0, 0], [0, 0]),
    ],
)
def test_series_stand_the_worst_first(
    expression: str, values: list[float], ordered: list[float]
) -> None:
    series = [Series({"n": str(number)}, value) for number, value in enumerate(values)]
    found = promql.without_threshold(expression).worst_first(series)

    assert [one.value for one in found] == ordered


def test_selectors_have_their_matchers_and_windows() -> None:
    one, other = promql.selectors(
        'rate(x_bucket{a="1,}",b=~"y\\"|z", le="5"}[1h30m]) / y{c!="d"} + plain'
    )

    assert (one.name, one.family, one.window, one.seconds) == ("x_bucket", "x", "1h30m", 5400)
    assert [str(matcher) for matcher in one.matchers] == ['a="1,}"', 'b=~"y\\"|z"', 'le="5"']
    assert (one.exact("a"), one.exact("b"), other.exact("c")) == ("1,}", None, None)
    assert (other.name, other.window, other.seconds) == ("y", "", 0)


def test_record_of_itself_comes_to_an_end() -> None:
    found = promql.expanded('a:b{x="1"}', lambda name, wanted: [f'{name}{{x="1"}} + c{{}}'])

    assert {one.name for one in found} == {"a:b", "c"}


@pytest.mark.parametrize("value", ['a"b', "a\\b", "a\nb", "é", "{}"])
def test_quoted_value_comes_back(value: str) -> None:
    (found,) = promql.selectors(f"x{{{promql.matching({'l': value})}}}")

    assert found.exact("l") == value or "\n" in value
    promql_parser.parse(f"x{{{promql.matching({'l': value})}}}")
