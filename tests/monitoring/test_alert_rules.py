"""Every alert has its four kinds of tests, and passes them in promtool."""

from pathlib import Path

import pytest

from tests.backends.prometheus_releases import PROMTOOLS, missing_promtool
from tests.conftest import require
from tests.monitoring.alert_lint import ALWAYS
from tests.monitoring.rules import ALERTS, TESTS, alert, cases_of, records_of, run
from tests.sizes import size

KINDS = ("fires on time", "silent just under", "silent without series", "two instances")
WITHOUT_SERIES = dict.fromkeys(("ServiceDown", *ALWAYS), "fires without series")
"""What is asked of an alert whose series are gone, where it is not silence."""


def kinds_of(name: str) -> set[str]:
    """Return the kinds of tests that an alert needs."""
    missing = WITHOUT_SERIES.get(name, "silent without series")
    kinds = [kind for kind in KINDS if name not in ALWAYS or kind != "silent just under"]
    return {missing if kind == "silent without series" else kind for kind in kinds}


def asserts_its_kind(test: dict[str, object], name: str) -> bool:
    """Tell whether a test expects what its name says, of the right alert, and can fail."""
    title, checks = str(test["name"]), test["alert_rule_test"]
    assert isinstance(checks, list)
    fires = [bool(check["exp_alerts"]) for check in checks]
    if {check["alertname"] for check in checks} != {name}:
        return False
    if title.startswith("silent"):
        return not any(fires)
    if name in ALWAYS:
        return all(fires)
    # Firing, with the evaluation before it silent.
    return fires[-1] and (len(fires) == 1 or not fires[-2])


def test_every_alert_is_tested_and_every_test_has_an_alert() -> None:
    assert {path.stem for path in TESTS.glob("*.yml")} == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_alert_has_the_four_kinds_of_tests(name: str) -> None:
    tests = cases_of(name)["tests"]
    found = {kind for kind in kinds_of(name) for test in tests if test["name"].startswith(kind)}
    assert found == kinds_of(name)
    assert [test["name"] for test in tests if not asserts_its_kind(test, name)] == []


# In the gate the oldest release is asked by the mutants' tests, which begin with what is no mutant.
@pytest.mark.integration
@pytest.mark.parametrize("release", size(["3"], list(PROMTOOLS)))
@pytest.mark.parametrize("name", ALERTS)
def test_promtool_finds_the_alert_as_its_tests_say(name: str, release: str, tmp_path: Path) -> None:
    promtool = PROMTOOLS[release]
    require("promtool", missing_promtool(promtool))
    rule = alert(name)
    rules = [*records_of(rule["expr"]), rule]
    result = run(cases_of(name), rules, tmp_path, program=promtool)
    assert result.returncode == 0, result.stdout + result.stderr
