"""A changed expression makes a test of its alert fail: the tests hold each of its parts."""

import copy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import require
from tests.monitoring.mutations import matchers, mutants, without_matcher
from tests.monitoring.rules import ALERTS, Rule, alert, cases_of, records_of, run
from tests.services.prometheus import Prometheus

# The objectives' records are held by an independent calculation (test_slo_burn_rates.py).
_CALCULATED = "vibebox:slo_"


def changed_rules(name: str) -> Iterator[tuple[str, list[Rule]]]:
    """Yield the rules that the alert needs, with one change each, behind its name."""
    rules = [*records_of(ALERTS[name]["expr"]), alert(name)]
    held = [rule for rule in rules if not rule.get("record", "").startswith(_CALCULATED)]
    for index, rule in enumerate(rules):
        for change, expression in mutants(rule["expr"]) if rule in held else ():
            yield change, _with(rules, index, "expr", expression)
    for matcher in dict.fromkeys(it for rule in held for it in matchers(rule["expr"])):
        changed = copy.deepcopy(rules)
        for rule in changed:
            rule["expr"] = without_matcher(rule["expr"], matcher)
        yield f"without {matcher}", changed
    for pending in {"0m", "1h"} - {rules[-1]["for"]}:
        yield f"for: {pending}", _with(rules, -1, "for", pending)


def _with(rules: list[Rule], index: int, key: str, value: str) -> list[Rule]:
    changed = copy.deepcopy(rules)
    changed[index][key] = value
    return changed


@pytest.mark.integration
@pytest.mark.parametrize("name", ALERTS)
def test_tests_notice_every_change(name: str, tmp_path: Path) -> None:
    require("Prometheus", Prometheus.installed())
    document = cases_of(name)
    changes = list(changed_rules(name))

    def survives(number: int) -> bool:
        result = run(document, changes[number][1], tmp_path, f"mutant-{number}")
        # A mutant that promtool cannot read proves nothing of the tests.
        assert "FAILED" in result.stdout + result.stderr or result.returncode == 0
        return result.returncode == 0

    with ThreadPoolExecutor(2) as pool:
        alive = list(pool.map(survives, range(len(changes))))
    assert [change for (change, _), it in zip(changes, alive, strict=True) if it] == []
