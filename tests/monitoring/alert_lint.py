"""Rules that every alert keeps. Each yields what it finds, in words."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import promql_parser as promql

from tests.monitoring.promql import (
    BUCKETS,
    COUNTERS,
    binaries,
    calls,
    kept_labels,
    nodes,
    parse,
    selectors,
    unknown_names,
)
from tests.monitoring.rules import MONITORING, RECORDS, Rule

SCRAPE_SECONDS = 15
_COMPARISONS = (">", ">=", "<", "<=", "==")
_COUNTS_OF_DATABASE = re.compile(r"vibebox_(environments|sessions|users)(_total)?$")
# Ten wake-ups a second of every process, whether or not anybody uses the service.
ALWAYS_ENOUGH = {"vibebox_scheduling_lag_seconds_bucket"}
_FLOOR = re.compile(r"\* \d+ >= \d+")
_COUNTED = re.compile(r":increase\d+[mhd]$")
ALWAYS = {"Watchdog": {"evaluated_at"}}
"""Alerts that always fire, which are of no severity, and the annotations that they have beside."""
BAD_BY_TRAFFIC = {"HighAuthFailureRate": "of twenty more than half are eleven"}
"""Alerts whose floor of traffic is one of bad events too."""
_RECORDED = {rule["record"]: rule["expr"] for rule in RECORDS}


def names(rule: Rule) -> Iterator[str]:
    """Series, labels and values are in the catalogue, and each selector names the job."""
    tree = parse(rule["expr"])
    yield from unknown_names(tree)
    for selector in selectors(tree):
        if "job" not in {matcher.name for matcher in selector.matchers.matchers}:
            yield f"{selector.name} without a job"


def counters(rule: Rule) -> Iterator[str]:
    """Counters stand under rate or increase, and nothing else does."""
    tree = parse(rule["expr"])
    under = {it.name for call in calls(tree, "rate", "increase") for it in selectors(call)}
    for selector in selectors(tree):
        if (selector.name in COUNTERS) != (selector.name in under):
            yield f"{selector.name} and rate"


def ranges(rule: Rule) -> Iterator[str]:
    """A range has four scrapes at least, so that one that is missed does not matter."""
    for node in nodes(parse(rule["expr"])):
        if isinstance(node, promql.MatrixSelector):
            seconds = node.range.total_seconds()
            if seconds < 4 * SCRAPE_SECONDS:
                yield f"a range of {seconds:g} s"


def ratios(rule: Rule) -> Iterator[str]:
    """Both sides of a ratio are aggregated by the same labels."""
    for ratio in binaries(parse(rule["expr"]), "/"):
        sides = kept_labels(ratio.lhs), kept_labels(ratio.rhs)
        if sides[1] and sides[0] != sides[1]:
            yield f"{sorted(sides[0])} over {sorted(sides[1])}"
        for side in (ratio.lhs, ratio.rhs):
            if selectors(side) and isinstance(side, promql.VectorSelector | promql.Call):
                yield "a ratio of what is not aggregated"


def floors(rule: Rule) -> Iterator[str]:
    """A ratio or quantile of events says nothing without traffic, and of a single bad event."""
    if not _of_events(rule["expr"]):
        return
    bad = any(_counts_events(condition) for condition in _conditions(parse(rule["expr"])))
    if not bad and not _FLOOR.search(rule["expr"]):
        yield "no floor of traffic"
    if not bad and rule.get("alert") not in BAD_BY_TRAFFIC:
        yield "no floor of bad events"


def _of_events(expression: str) -> bool:
    """Tell whether a share or a quantile of events is compared, other than of those for ever."""
    expression = _with_records(expression)
    tree = parse(expression)
    series = {it.name for it in selectors(tree)}
    quantile = "histogram_quantile" in expression and not series <= ALWAYS_ENOUGH
    return quantile or any(
        calls(ratio, "rate") and calls(ratio.rhs, "rate") for ratio in binaries(tree, "/")
    )


def _conditions(tree: Any) -> list[Any]:
    return [it for it in binaries(tree, ">=") if isinstance(it.rhs, promql.NumberLiteral)]


def _counts_events(condition: Any) -> bool:
    """Tell whether a condition is on a number of events, of which there must be two at least."""
    counted = any(_COUNTED.search(it.name) for it in selectors(condition.lhs))
    return condition.rhs.val >= 2 and (counted or bool(calls(condition.lhs, "increase")))


def _with_records(expression: str) -> str:
    """Return the expression, or that of the record that it compares."""
    found = selectors(parse(expression))  # none in what always fires
    return str(_RECORDED.get(found[0].name, expression)) if found else expression


def quantiles(rule: Rule) -> Iterator[str]:
    """Quantiles sum by le first; their threshold is a bucket below the last finite one."""
    expression = _with_records(rule["expr"])
    for call in calls(parse(expression), "histogram_quantile"):
        summed = call.args[1]
        if not isinstance(summed, promql.AggregateExpr) or "le" not in kept_labels(summed):
            yield "a quantile that is not summed by le"
        (selector,) = selectors(call)
        finite = [bound for bound in BUCKETS[selector.name] if bound != float("inf")]
        threshold = _first_threshold(parse(rule["expr"]))
        if threshold not in finite[:-1]:
            yield f"{threshold} is no bucket of {selector.name} below the last"


def _first_threshold(tree: Any) -> float:
    found = [it for it in binaries(tree, *_COMPARISONS) if isinstance(it.rhs, promql.NumberLiteral)]
    return float(found[0].rhs.val)


def counts(rule: Rule) -> Iterator[str]:
    """What every instance reads from the one database is never summed over instances."""
    for node in nodes(parse(rule["expr"])):
        if isinstance(node, promql.AggregateExpr) and str(node.op) != "max":
            for selector in selectors(node):
                if _COUNTS_OF_DATABASE.match(selector.name):
                    yield f"{node.op} of {selector.name}"


def labels(rule: Rule) -> Iterator[str]:
    """Labels say how bad and where, and stay the same while the alert lasts."""
    found = rule["labels"]
    if not {"severity", "component"} <= set(found) <= {"severity", "component", "signal"}:
        yield f"labels {sorted(found)}"
    always = {"none"} if rule["alert"] in ALWAYS else set()
    if found.get("severity") not in {"critical", "warning", "info"} | always:
        yield f"severity {found.get('severity')}"
    yield from (f"a value in label {name}" for name, value in found.items() if "{{" in value)


def annotations(rule: Rule) -> Iterator[str]:
    """The five texts are there, and name only labels that the alert has."""
    found = rule["annotations"]
    wanted = {"summary", "description", "runbook_url", "dashboard_url", "explanation_url"}
    if set(found) != wanted | ALWAYS.get(rule["alert"], set()) or not all(found.values()):
        yield f"annotations {sorted(found)}"
    kept = kept_labels(parse(rule["expr"])) | set(rule["labels"])
    for text in found.values():
        # What is under "with" may be missing.
        for name in re.findall(r"\$labels\.(\w+)", re.sub(r"{{ with [^}]*}}", "", text)):
            if name not in kept:
                yield f"no label {name} survives"


def runbooks(rule: Rule) -> Iterator[str]:
    """The runbook exists, under the name of the alert."""
    page = rule["annotations"]["runbook_url"].rpartition("/")[2]
    if page != f"{rule['alert']}.md" or not (MONITORING / "runbooks" / page).exists():
        yield f"no runbook {page}"


CHECKS: tuple[Callable[[Rule], Iterator[str]], ...] = (
    names,
    counters,
    ranges,
    ratios,
    floors,
    quantiles,
    counts,
    labels,
    annotations,
    runbooks,
)


def lint(rule: Rule) -> list[str]:
    """Return everything that is wrong with an alert."""
    return [f"{check.__name__}: {found}" for check in CHECKS for found in check(rule)]
