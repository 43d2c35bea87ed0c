"""What an expression of PromQL reads and keeps, from its syntax tree."""

from collections.abc import Iterator
from typing import Any

import promql_parser as promql

from app.telemetry.catalogue import FAMILIES
from tests.monitoring.rules import RECORDS

PROMETHEUS_ITS_OWN = ("up", "scrape_duration_seconds")
TARGET_LABELS = {"job", "instance"}
_PARTS = ("bucket", "sum", "count")


def parse(expression: str) -> Any:
    """Return the syntax tree; ValueError where it is no PromQL."""
    return promql.parse(expression)


def nodes(tree: Any) -> Iterator[Any]:
    """Yield the node and all below it."""
    yield tree
    for name in ("lhs", "rhs", "expr", "vector_selector"):
        below = getattr(tree, name, None)
        if below is not None:
            yield from nodes(below)
    for argument in getattr(tree, "args", None) or ():
        yield from nodes(argument)


def selectors(tree: Any) -> list[Any]:
    """Return the selectors of series."""
    return [node for node in nodes(tree) if isinstance(node, promql.VectorSelector)]


def calls(tree: Any, *names: str) -> list[Any]:
    """Return the calls of these functions."""
    found = [node for node in nodes(tree) if isinstance(node, promql.Call)]
    return [node for node in found if node.func.name in names]


def binaries(tree: Any, *operators: str) -> list[Any]:
    """Return the operations with these operators."""
    found = [node for node in nodes(tree) if isinstance(node, promql.BinaryExpr)]
    return [node for node in found if str(node.op) in operators]


def series() -> dict[str, dict[str, Any]]:
    """Return the labels of every series that Prometheus has of the service.

    Each label has its possible values, or None where the code decides.
    """
    target = dict.fromkeys(TARGET_LABELS)
    known: dict[str, dict[str, Any]] = {name: dict(target) for name in PROMETHEUS_ITS_OWN}
    for family in FAMILIES:
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
COUNTERS = {family.name for family in FAMILIES if family.kind == "counter"} | {
    f"{family.name}_{part}" for family in FAMILIES if family.kind == "histogram" for part in _PARTS
}
BUCKETS: dict[str, list[float]] = {
    f"{family.name}_bucket": family._metric._upper_bounds  # type: ignore[union-attr]
    for family in FAMILIES
    if family.kind == "histogram"
}


def unknown_names(tree: Any) -> Iterator[str]:
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


def kept_labels(tree: Any) -> set[str]:
    """Return the labels that every result of an expression has."""
    if isinstance(tree, promql.AggregateExpr):
        return set(tree.modifier.labels) if tree.modifier else set()
    if isinstance(tree, promql.VectorSelector):
        return set(SERIES.get(str(tree.name), ()))
    if isinstance(tree, promql.BinaryExpr):
        return _of_both(tree)
    if isinstance(tree, promql.Call):
        # The labels of an absent series are those that were asked for.
        if tree.func.name == "absent":
            return {matcher.name for matcher in selectors(tree)[0].matchers.matchers}
        dropped = {"le"} if tree.func.name == "histogram_quantile" else set()
        return kept_labels(tree.args[-1]) - dropped
    below = getattr(tree, "expr", None) or getattr(tree, "vector_selector", None)
    return kept_labels(below) if below is not None else set()


def _of_both(tree: Any) -> set[str]:
    if str(tree.op) == "or":
        return kept_labels(tree.lhs) & kept_labels(tree.rhs)
    return kept_labels(tree.lhs) or kept_labels(tree.rhs)
