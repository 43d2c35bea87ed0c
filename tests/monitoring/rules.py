"""The committed rules as data, and promtool's tests run against a part of them."""

import copy
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import yaml

from tests.backends.prometheus import promtool
from tests.support.remembered import completed, recalled, remember, version_of

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
    document: dict[str, Any],
    rules: Iterable[Rule],
    directory: Path,
    name: str = "test",
    program: str = "promtool",
) -> CompletedProcess[str]:
    """Run promtool's tests against these rules only: all of them would take ten times as long.

    What it said of the same rules and tests before is remembered.
    """
    rules = list(rules)

    def test_rules() -> CompletedProcess[str]:
        rule_file = directory / f"{name}-rules.yml"
        rule_file.write_text(json.dumps({"groups": [{"name": "group", "rules": rules}]}))
        test_file = directory / f"{name}.yml"
        test_file.write_text(json.dumps({**document, "rule_files": [str(rule_file)]}))
        return promtool("test", "rules", str(test_file), timeout=300, program=program)

    inputs = ["promtool test rules", version_of(program), document, rules]
    return completed(inputs, test_rules, _is_about_the_rules)


def passing(
    document: dict[str, Any], changed: Sequence[Sequence[Rule]], directory: Path
) -> list[bool]:
    """Tell of each list of rules whether it passes the tests; one promtool tests all of them.

    Starting one takes as long as what it does. What it said before is remembered.
    Raises: AssertionError where it says nothing of the rules.
    """
    ask = ["promtool test rules", version_of("promtool"), document]
    known = {index: recalled([*ask, rules]) for index, rules in enumerate(changed)}
    todo = {index: changed[index] for index, done in known.items() if done is None}
    begun = time.monotonic()
    for index, done in _tested_together(document, todo, directory):
        assert _is_about_the_rules(done), done.stdout
        known[index] = done
        remember([*ask, todo[index]], done, (time.monotonic() - begun) / len(todo))
    return [done is not None and done.returncode == 0 for done in known.values()]


def _tested_together(
    document: dict[str, Any], todo: Mapping[int, Sequence[Rule]], directory: Path
) -> Iterator[tuple[int, CompletedProcess[str]]]:
    """Yield how each would have ended alone, by what stands below the name of its file."""
    files = {}
    for index, rules in todo.items():
        rule_file = directory / f"{index}-rules.yml"
        rule_file.write_text(json.dumps({"groups": [{"name": "group", "rules": rules}]}))
        test_file = directory / f"{index}.yml"
        test_file.write_text(json.dumps({**document, "rule_files": [str(rule_file)]}))
        files[str(test_file)] = index
    if files:
        told = promtool("test", "rules", *files, timeout=300, joined=True).stdout
        _, *parts = re.split(r"^Unit Testing:  (.*)\n", told, flags=re.MULTILINE)
        for file, text in zip(parts[::2], parts[1::2], strict=True):
            yield files.pop(file), CompletedProcess([], int("SUCCESS" not in text), text, "")
        assert not files, told


def _is_about_the_rules(done: CompletedProcess[str]) -> bool:
    """Tell whether promtool passed the tests, or found what they do not expect."""
    told = done.stdout + done.stderr
    return done.returncode == 0 or "got:" in told or re.search(r"rule: .* err: ", told) is not None
