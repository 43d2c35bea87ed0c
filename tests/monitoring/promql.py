"""What an expression of a rule or a runbook reads, beside what the service has."""

from collections.abc import Iterator
from typing import Any

import promql_parser as promql

from app.metrics.catalogue import registry
from tests.monitoring import syntax
from tests.monitoring.rules import RECORDS
from tests.monitoring.syntax import Node

PROMETHEUS_ITS_OWN = ("up", "scrape_duration_seconds")
TARGET_LABELS = {"job", "instance"}
_PARTS = ("bucket", "sum", "count")


def parse(expression: str) -> Node:
    """Return the syntax tree; ValueError where it is no PromQL."""
    return promql.parse(expression)


def nodes(tree: Node) -> Iterator[Node]:
    """Yield the node and all below it."""
    return (node for node, _ in syntax.walk(tree))


def selectors(tree: Node) -> list[Node]:
    """Return the selectors of series."""
    return [node for node, _ in syntax.selectors(tree)]


def calls(tree: Node, *names: str) -> list[Node]:
    """Return the calls of these functions."""
    found = [node for node in nodes(tree) if isinstance(node, promql.Call)]
    return [node for node in found if node.func.name in names]


def binaries(tree: Node, *operators: str) -> list[Node]:
    """Return the operations with these operators."""
    found = [node for node in nodes(tree) if isinstance(node, promql.BinaryExpr)]
    return [node for node in found if str(node.op) in operators]


def series() -> dict[str, dict[str, Any]]:
    """Return the labels of every series that Prometheus has of the service.

    Each label has its possible values, or None where the code decides.
    """
    target = dict.fromkeys(TARGET_LABELS)
    known: dict[str, dict[str, Any]] = {name: dict(target) for name in PROMETHEUS_ITS_OWN}
    for family in registry.families:
        labels = {**family.labels, **target}
        if family.kind == "histogram":
            known |= {f"{family.name}_{part}": dict(labels) for part in _PARTS}
            known[f"{family.name}_bucket"]["le"] = None
        else:
            known[family.name] = labels
    # Recorded series are summed over instances.
    for rule in RECORDS:
        values = {name: None for name in rule.get("labels", {})}
        known[rule["record"]] = {"job": None, **values}
    return known


SERIES = series()
COUNTERS = {family.name for family in registry.families if family.kind == "counter"} | {
    f"{family.name}_{part}"
    for family in registry.families
    if family.kind == "histogram"
    for part in _PARTS
}
BUCKETS: dict[str, list[float]] = {
    f"{family.name}_bucket": family.metric._upper_bounds  # type: ignore[union-attr]
    for family in registry.families
    if family.kind == "histogram"
}


def unknown_names(tree: Node) -> Iterator[str]:
    """Yield what is wrong with the series, labels and label values that an expression names."""
    for selector in selectors(tree):
        known = SERIES.get(selector.name)
        if known is None:
            yield f"no such series: {selector.name}"
            continue
        for matcher in selector.matchers.matchers:
            if matcher.name not in known:
                yield f"{selector.name} has no label {matcher.name}"
            values = known.get(matcher.name)
            if values and str(matcher.op) == "MatchOp.Equal" and matcher.value not in values:
                yield f"{matcher.name} is never {matcher.value}"


def kept_labels(tree: Node) -> frozenset[str]:
    """Return the labels that every result of an expression has."""
    return syntax.labels(tree, {name: frozenset(known) for name, known in SERIES.items()})
