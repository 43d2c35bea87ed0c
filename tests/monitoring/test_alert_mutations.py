"""A changed expression makes a test of its alert fail: the tests hold each of its parts."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.backends.prometheus import Prometheus
from tests.conftest import require
from tests.monitoring.mutations import matchers, mutants, without_matcher
from tests.monitoring.promql import parse
from tests.monitoring.rules import ALERTS, Rule, alert, cases_of, passing, records_of

# Alerts on budgets compare records that an independent calculation holds (test_slo_burn_rates.py):
# their tests give the records' values, but for two instances, which concerns the records alone.
_CALCULATED = "vibebox:slo_"


def material(name: str) -> tuple[list[Rule], dict[str, Any]]:
    """Return the rules that are changed, and the tests that have to notice."""
    records, document = records_of(ALERTS[name]["expr"]), cases_of(name)
    if _CALCULATED in ALERTS[name]["expr"]:
        tests = [it for it in document["tests"] if not it["name"].startswith("two instances")]
        return [alert(name)], {**document, "tests": tests}
    return [*records, alert(name)], document


def changed_rules(rules: list[Rule]) -> Iterator[tuple[str, list[Rule]]]:
    """Yield the rules with one change each, behind its name."""
    for index, rule in enumerate(rules):
        for change, expression in mutants(rule["expr"]):
            yield change, _with(rules, index, "expr", expression)
    for matcher in dict.fromkeys(it for rule in rules for it in matchers(rule["expr"])):
        changed = copy.deepcopy(rules)
        for rule in changed:
            rule["expr"] = without_matcher(rule["expr"], matcher)
        yield f"without {matcher}", changed
    for pending in sorted({"0m", "1h"} - {rules[-1]["for"]}):
        yield f"for: {pending}", _with(rules, -1, "for", pending)


def _with(rules: list[Rule], index: int, key: str, value: str) -> list[Rule]:
    changed = copy.deepcopy(rules)
    changed[index][key] = value
    return changed


@pytest.mark.integration
@pytest.mark.parametrize("name", ALERTS)
def test_tests_notice_every_change(name: str, tmp_path: Path) -> None:
    require("Prometheus", Prometheus.installed())
    rules, document = material(name)
    changes = list(changed_rules(rules))
    for _, changed in changes:
        for rule in changed:
            parse(rule["expr"])  # what cannot be read fails every test, and proves nothing
    first, *others = document["tests"]
    # Most do not pass the first test: that spares them the others.
    for tests in ([first], others):
        asked = [rules, *(it for _, it in changes)]
        unchanged, *alive = passing({**document, "tests": tests}, asked, tmp_path)
        assert unchanged
        changes = [change for change, passes in zip(changes, alive, strict=True) if passes]
    assert [change for change, _ in changes] == []
