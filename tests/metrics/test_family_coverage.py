"""Every family and label value has a test that moves it, or stands among those without a source."""

import ast
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from flask_openapi3 import OpenAPI

from app.metrics import catalogue
from app.web.openapi import documented_statuses
from prefork_metrics.family import OTHER
from prefork_metrics.standard.database import STATEMENTS as STATEMENT_KINDS
from prefork_metrics.standard.requests import METHODS as METHODS_KNOWN
from tests.end_to_end.families import accounts, agents, environments, failures
from tests.end_to_end.families.coverage import (
    COVERED,
    ELSEWHERE,
    NO_SOURCE_YET,
    NO_STATEMENT_YET,
    SAME,
    STATEMENTS,
    STATUSES,
)
from tests.end_to_end.families.moves import answered, labels_of

ROOT = Path(__file__).parents[2]
FAMILIES = {family.name: family for family in catalogue.registry.families}
STEPS = (*accounts.STEPS, *environments.STEPS, *agents.STEPS, *failures.STEPS)
NODES = {*COVERED.values(), *(node for values in ELSEWHERE.values() for node in values.values())}
METHODS = (*METHODS_KNOWN, "BREW")
MOVED = {key for step in STEPS for key in step.moves} | {
    key
    for method, status in product(METHODS, STATUSES)
    for key in answered(method, "unmatched", int(status))
}
"""What the steps move: what they declare, and their requests, by every method and status."""


def label_values(app: OpenAPI) -> Iterator[tuple[str, str, str]]:
    """Yield family, label and value; of statuses those that some route documents."""
    documented = {str(code) for codes in documented_statuses(app).values() for code in codes}
    for name, family in FAMILIES.items():
        for label, allowed in family.labels.items():
            values = documented if label == "status_code" else allowed or ()
            for value in values:
                is_error = label != "status_code" or int(value) >= 400
                if name != "vibebox_api_errors_total" or is_error:
                    yield name, label, str(value)


def moved_by_steps(name: str) -> set[tuple[str, str]]:
    """Return the labels and values of a family that the steps move."""
    names = (name, f"{name}_count")
    return {pair for key in MOVED for pair in labels_of(key, names)}


def test_each_family_has_a_test() -> None:
    assert sorted(COVERED) == sorted(FAMILIES)


def test_each_label_value_has_a_test_or_a_reason(app: OpenAPI) -> None:
    left = []
    for name, label, value in label_values(app):
        if name == "vibebox_db_query_duration_seconds":
            continue
        family = SAME.get(name, name)
        known = {*ELSEWHERE.get((family, label), {}), *NO_SOURCE_YET.get((name, label), {})}
        if value not in known and (label, value) not in moved_by_steps(name):
            left.append((name, label, value))
    assert left == []


def test_what_has_no_source_is_not_moved() -> None:
    for (name, label), reasons in NO_SOURCE_YET.items():
        assert label in FAMILIES[name].labels
        assert not {(label, value) for value in reasons} & moved_by_steps(name)
        assert all(reasons.values())


def test_each_statement_has_a_source_or_a_reason() -> None:
    for model, operation in product((*catalogue.registry.models, OTHER), STATEMENT_KINDS):
        made = operation in STATEMENTS.get(model, ())
        # What is none of the four names no table.
        reasoned = operation in NO_STATEMENT_YET.get(model, {}) or (
            operation == "other" and model != "other"
        )
        assert made is not reasoned, (model, operation)
    assert {*STATEMENTS, *NO_STATEMENT_YET} <= {*catalogue.registry.models, OTHER}


@pytest.mark.parametrize("node", sorted(NODES))
def test_named_test_exists(node: str) -> None:
    path, _, function = node.partition("::")
    tree = ast.parse((ROOT / path).read_text())

    assert function.startswith("test_")
    assert function in {item.name for item in tree.body if isinstance(item, ast.FunctionDef)}
