"""The OpenSLO document has the shape of the specification, and says what the rules measure."""

import re
from importlib import import_module
from typing import Any

import pytest
import yaml

from monitoring.rules.objectives import OBJECTIVES, PERIOD, Objective
from monitoring.rules.writing import OPENSLO, objectives
from tests.monitoring.promql import parse, selectors
from tests.monitoring.rules import RECORDS

DOCUMENTS: list[dict[str, Any]] = list(yaml.safe_load_all(OPENSLO.read_text()))
NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63}


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": required | optional,
        "required": list(required),
        "additionalProperties": False,
    }


TEXT = {"type": "string", "minLength": 1}
SOURCE = _object(
    {"metricSource": _object({"type": {"const": "Prometheus"}, "spec": _object({"query": TEXT})})}
)
RATIO = _object({"counter": {"type": "boolean"}, "total": SOURCE}, good=SOURCE, bad=SOURCE) | {
    "oneOf": [{"required": ["good"]}, {"required": ["bad"]}]
}
METADATA = _object({"name": NAME}, displayName=TEXT)
SERVICE = _object({"description": {"type": "string", "maxLength": 1050}})
SLO = _object(
    {
        "description": {"type": "string", "maxLength": 1050},
        "service": NAME,
        "indicator": _object({"metadata": METADATA, "spec": _object({"ratioMetric": RATIO})}),
        "timeWindow": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": _object(
                {
                    "duration": {"type": "string", "pattern": "^[1-9][0-9]*[mhdwMQY]$"},
                    "isRolling": {"const": True},
                }
            ),
        },
        "budgetingMethod": {"enum": ["Occurrences", "Timeslices", "RatioTimeslices"]},
        "objectives": {
            "type": "array",
            "minItems": 1,
            "items": _object(
                {"target": {"type": "number", "minimum": 0, "exclusiveMaximum": 1}},
                displayName=TEXT,
            ),
        },
    }
)
KINDS = {"Service": SERVICE, "SLO": SLO}
"""What version 1 of the specification asks of the kinds that we write; no more than we write."""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda it: it["metadata"]["name"])
def test_document_has_the_shape_of_the_specification(document: dict[str, Any]) -> None:
    schema = _object(
        {
            "apiVersion": {"const": "openslo/v1"},
            "kind": {"enum": list(KINDS)},
            "metadata": METADATA,
            "spec": KINDS[document["kind"]],
        }
    )
    # Imported here: it takes more than a second, which each process of the tests would pay.
    validator = import_module("jsonschema").Draft202012Validator
    validator.check_schema(schema)
    assert [error.message for error in validator(schema).iter_errors(document)] == []


def test_it_is_what_the_tables_say() -> None:
    assert OPENSLO.read_text() == objectives(), "run: make generate"


def slo(objective: Objective) -> dict[str, Any]:
    (found,) = (it for it in DOCUMENTS if it["metadata"]["name"] == f"vibebox-{objective.name}")
    spec: dict[str, Any] = found["spec"]
    return spec


def measured(expression: str) -> set[str]:
    """Return the selectors of an expression, as a parser writes them, without their windows."""
    return {re.sub(r"\[.*", "", it.prettify()) for it in selectors(parse(expression))}


def recorded(name: str, objective: Objective) -> set[str]:
    (rule,) = (
        it for it in RECORDS if it["record"] == name and it["labels"]["slo"] == objective.name
    )
    return measured(rule["expr"])


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda it: it.name)
def test_it_says_what_the_rules_measure(objective: Objective) -> None:
    found = slo(objective)
    assert [one["target"] for one in found["objectives"]] == [objective.good]
    assert [one["duration"] for one in found["timeWindow"]] == [PERIOD]
    assert found["service"] == DOCUMENTS[0]["metadata"]["name"]
    ratio = found["indicator"]["spec"]["ratioMetric"]
    query = {
        side: ratio[side]["metricSource"]["spec"]["query"].replace("{{.window}}", "5m")
        for side in ("good", "bad", "total")
        if side in ratio
    }
    total, counted = measured(query.pop("total")), measured(query.popitem()[1])
    assert total == recorded("vibebox:slo_requests:rate5m", objective)
    # Bad requests are those that failed, or all but those that were in time.
    assert counted | total == recorded("vibebox:slo_errors:rate5m", objective)
    assert len(counted) == 1 and counted != total
