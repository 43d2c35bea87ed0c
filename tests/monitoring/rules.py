"""The committed rules as data, and promtool's tests run against a part of them."""

import copy
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import yaml

from tests.backends.prometheus import promtool
from tests.support.remembered import completed, version_of

MONITORING = Path(__file__).parents[2] / "monitoring"
PROMETHEUS = MONITORING / "prometheus"
TESTS = PROMETHEUS / "tests"
FILES = ("recording.yml", "slo.yml", "alerts.yml")

Rule = dict[str, Any]
_RECORDED = re.compile(r"\b\w+:\w+:\w+")


def _all() -> Iterator[Rule]:
    for name in FILES:
        for group in yaml.safe_load((PROMETHEUS / name).read_text())["groups"]:
            yield from group["rules"]


RULES = list(_all())
ALERTS: dict[str, Rule] = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDS = [rule for rule in RULES if "record" in rule]


def alert(name: str) -> Rule:
    """Return a copy of the alert that may be changed."""
    return copy.deepcopy(ALERTS[name])


def records_of(expression: str) -> list[Rule]:
    """Return the recording rules that an expression needs, those they need themselves first."""
    names = set(_RECORDED.findall(expression))
    wanted = [rule for rule in RECORDS if rule["record"] in names]
    deeper = [rule for one in wanted for rule in records_of(one["expr"])]
    # In the order of the files, each once: a record comes after what it is made of.
    return [copy.deepcopy(rule) for rule in RECORDS if rule in wanted or rule in deeper]


def cases_of(name: str) -> dict[str, Any]:
    """Return the committed tests of an alert."""
    # All of it is text to promtool; to YAML, "0x20" would be the number 32.
    text = (TESTS / f"{name}.yml").read_text()
    document: dict[str, Any] = yaml.load(text, Loader=yaml.BaseLoader)
    return document


def run(
    document: dict[str, Any], rules: Iterable[Rule], directory: Path, name: str = "test"
) -> CompletedProcess[str]:
    """Run promtool's tests against these rules only: all of them would take ten times as long.

    What it said of the same rules and tests before is remembered.
    """
    rules = list(rules)

    def test_rules() -> CompletedProcess[str]:
        rule_file = directory / f"{name}-rules.yml"
        rule_file.write_text(yaml.safe_dump({"groups": [{"name": "group", "rules": rules}]}))
        test_file = directory / f"{name}.yml"
        test_file.write_text(yaml.safe_dump({**document, "rule_files": [str(rule_file)]}))
        return promtool("test", "rules", str(test_file), timeout=300)

    inputs = ["promtool test rules", version_of("promtool"), document, rules]
    return completed(inputs, test_rules, _is_about_the_rules)


def _is_about_the_rules(done: CompletedProcess[str]) -> bool:
    """Tell whether promtool passed the tests, or found what they do not expect."""
    return done.returncode == 0 or "got:" in done.stdout + done.stderr
