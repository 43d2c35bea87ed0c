"""What an expression of PromQL is made of: its nodes, where they stand, and their labels."""

from collections.abc import Iterator, Mapping
from typing import Any

import promql_parser as parser

Node = Any
"""A node of a parsed expression; the parser's own types are told apart by their class."""
Families = Mapping[str, frozenset[str]]


def walk(node: Node, above: tuple[Node, ...] = ()) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    """Yield each node with those above it, the nearest last."""
    yield node, above
    for child in _children(node):
        yield from walk(child, (*above, node))


def _children(node: Node) -> list[Node]:
    if isinstance(node, parser.BinaryExpr):
        return [node.lhs, node.rhs]
    if isinstance(node, parser.Call):
        return list(node.args)
    if isinstance(node, parser.MatrixSelector):
        return [node.vector_selector]
    if isinstance(node, parser.AggregateExpr):
        return [node.expr, *([node.param] if node.param is not None else [])]
    return [node.expr] if hasattr(node, "expr") else []


def selectors(node: Node) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    """Yield each selector with the nodes above it."""
    return (
        (found, above) for found, above in walk(node) if isinstance(found, parser.VectorSelector)
    )


def matchers(selector: Node) -> list[tuple[str, str, str]]:
    """Return label, operator and value of each matcher."""
    return [
        (each.name, str(each.op).rpartition(".")[2], each.value)
        for each in selector.matchers.matchers
    ]


def function(node: Node) -> str | None:
    """Return the name of the function that the node calls, if it does."""
    return str(node.func.name) if isinstance(node, parser.Call) else None


def comparison(node: Node) -> str | None:
    """Return the operator of a comparison, if the node is one with a number."""
    if isinstance(node, parser.BinaryExpr) and isinstance(node.rhs, parser.NumberLiteral):
        return str(node.op)
    return None


def aggregation(node: Node) -> str | None:
    """Return the name of the aggregation that the node is, if it is one."""
    return str(node.op) if isinstance(node, parser.AggregateExpr) else None


def grouped_by(node: Node) -> frozenset[str]:
    """Return the labels that an aggregation keeps."""
    return frozenset(node.modifier.labels) if node.modifier else frozenset()


def quotient(node: Node) -> list[Node]:
    """Return both sides of a division of vectors, or nothing."""
    if not isinstance(node, parser.BinaryExpr) or str(node.op) != "/":
        return []
    sides = [node.lhs, node.rhs]
    return sides if all(any(selectors(side)) for side in sides) else []


def labels(node: Node, families: Families) -> frozenset[str]:
    """Return the labels that every series of the result has; `families` has those of names."""
    if isinstance(node, parser.VectorSelector):
        return families.get(node.name or "", frozenset())
    if isinstance(node, parser.MatrixSelector):
        return labels(node.vector_selector, families)
    if isinstance(node, parser.AggregateExpr):
        inner = labels(node.expr, families)
        if str(node.op) in ("topk", "bottomk") and node.modifier is None:
            return inner
        return inner & grouped_by(node)
    if isinstance(node, parser.Call):
        return _labels_of_call(node, families)
    if isinstance(node, parser.BinaryExpr):
        return _labels_of_pair(node, families)
    return labels(node.expr, families) if hasattr(node, "expr") else frozenset()


def _labels_of_call(node: Node, families: Families) -> frozenset[str]:
    found = [labels(each, families) for each in node.args]
    inner = frozenset[str]().union(*found)
    if node.func.name == "histogram_quantile":
        return inner - {"le"}
    if node.func.name in ("label_replace", "label_join"):
        return inner | {node.args[1].val}
    if node.func.name == "absent":
        # Nothing is there to have labels: those of the answer are those that were asked for.
        return frozenset(label for found, _ in selectors(node) for label, _, _ in matchers(found))
    return inner


def _labels_of_pair(node: Node, families: Families) -> frozenset[str]:
    left, right = labels(node.lhs, families), labels(node.rhs, families)
    if str(node.op) in ("and", "unless"):
        return left
    if str(node.op) == "or":
        return left & right
    # A number beside a vector has no labels and takes none away.
    taken = node.modifier.group_labels if node.modifier else None
    return (left or right) | frozenset(taken or ())
