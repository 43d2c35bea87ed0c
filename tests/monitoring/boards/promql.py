"""Queries of dashboards, with Grafana's variables filled in."""

import re

import promql_parser as parser

from tests.monitoring.syntax import Node

VARIABLES = {
    "job": "vibebox-backend",
    "instance": ".+",
    "team": "a-team",
    # A range that nothing else is written with, so that it can be told from a literal one.
    "__rate_interval": "4111s",
    "__range": "7331s",
    "__interval": "4096s",
    "__interval_ms": "4096000",
    "__from": "0",
}
"""What stands for Grafana's variables while a query is parsed."""


def substituted(expression: str, **values: str) -> str:
    """Return the query with Grafana's variables filled in."""
    known = {**VARIABLES, **values}
    return re.sub(r"\$(\w+)", lambda found: known.get(found[1], found[0]), expression)


def parsed(expression: str) -> Node:
    """Parse a query, its variables filled in. Raises ValueError where it is no PromQL."""
    return parser.parse(substituted(expression))


_MISSED = re.compile(r'label_replace\((?:(?!label_replace).)*?, "part", "missed", "", ""\) or ')
_BEFORE = re.compile(
    r"\((\S+) offset \$__interval or last_over_time\(\1\[\w+\] offset \$__interval\)\)"
)


def without_gaps(expression: str) -> str:
    """Return a query of bars without what it adds for gaps in the scrapes (`test_bars`)."""
    return _BEFORE.sub(r"\1 offset $__interval", _MISSED.sub("", expression))


_CONDITION = re.compile(r" (and on \(\) \(+(max\()?(count|max_over_time)|unless on \(\) ).*")


def without_condition(expression: str) -> str:
    """Return the query as of now, and without what leaves out what would say nothing.

    That is a period that is not whole, a step that a round did not come to,
    a bar of an environment in which nothing was killed, a severity of which no alert fires, and a
    burn rate that was never above the foot of its axis.
    """
    expression = re.sub(r',severity="\w+"', "", expression)
    expression = expression.replace(" unless on () count(", " and on () group(")
    whole = _CONDITION.sub("", expression)
    return re.sub(r" offset (\$__range|\d+d)| > 0(?=\)\)$)", "", whole)


def without_fallback(expression: str) -> str:
    """Return the query without any `or vector(0)`, which would hide that it finds nothing."""
    return re.sub(r"\s+or vector\(0\)", "", expression)
