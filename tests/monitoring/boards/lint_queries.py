"""Rules for the queries of a panel. Each yields what is wrong, in words."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from tests.monitoring import syntax
from tests.monitoring.boards import promql
from tests.monitoring.boards.known import TARGET_LABELS, labels_by_name, samples
from tests.monitoring.boards.promql import VARIABLES
from tests.monitoring.syntax import aggregation, function, selectors

Json = dict[str, Any]
Complaints = Iterator[str]
Rule = Callable[[Json, Json, syntax.Node], Complaints]
"""Takes the panel, the target and its parsed query."""

OF_TEAMS = ("ledger", "team")
TEAMS = {"team": VARIABLES["team"]}
_RATES = ("rate", "increase")
EXEMPLIFIED = {
    f"vibebox_{name}_seconds_bucket"
    for name in (
        *("http_request_duration", "db_query_duration", "docker_operation_duration"),
        "environment_start_duration",
    )
}
"""What requests, statements, calls of Docker and starts leave exemplars in."""
_LEGEND = re.compile(r"{{\s*(\w+)\s*}}")
_OF_MINUTES = re.compile(r"\b(\d+) min(?:\)|utes\b)")
_RANGES = re.compile(r"\[([^\]]*)\]")


def parses(target: Json) -> Complaints:
    """PromQL, with Grafana's variables filled in."""
    try:
        promql.parsed(target["expr"])
    except ValueError as error:
        yield f"does not parse: {error}"


def selectors_carry_the_choice(_panel: Json, target: Json, query: syntax.Node) -> Complaints:
    """Every selector takes the jobs and instances chosen; what has no instance, the jobs only."""
    for selector, _ in selectors(query):
        wanted = {"job": VARIABLES["job"], "instance": VARIABLES["instance"]}
        sort = samples()[selector.name].sort if selector.name in samples() else None
        if sort in ("recorded", "alerts"):
            del wanted["instance"]
        if sort in OF_TEAMS:
            wanted = {} if "team" not in samples()[selector.name].labels else TEAMS
        found = {label: value for label, op, value in syntax.matchers(selector) if op == "Re"}
        if missing := [label for label in wanted if found.get(label) != wanted[label]]:
            yield f"{selector.name} is selected without {', '.join(missing)}"
    if VARIABLES["job"] in target["expr"]:
        yield "names a job of its own"


def metrics_and_labels_are_known(_panel: Json, _target: Json, query: syntax.Node) -> Complaints:
    """Metric, labels and values stand in the catalogue, or Prometheus makes them."""
    for selector, _ in selectors(query):
        sample = samples().get(selector.name)
        if sample is None:
            yield f"{selector.name} is not known"
            continue
        for label, operator, value in syntax.matchers(selector):
            if label in TARGET_LABELS:
                continue
            if label not in sample.labels:
                yield f"{selector.name} has no label {label}"
            elif operator == "Equal" and value not in (sample.labels.get(label) or {value}):
                yield f"{label} of {selector.name} is never {value}"
    for node, _ in syntax.walk(query):
        if aggregation(node):
            has = syntax.labels(node.expr, labels_by_name())
            for label in sorted(syntax.grouped_by(node) - has):
                yield f"there is no label {label} to aggregate by"


def counters_stand_under_rate(_panel: Json, _target: Json, query: syntax.Node) -> Complaints:
    """Counters rise for ever: only how fast says something. Gauges go up and down: never."""
    for selector, above in selectors(query):
        sort = samples()[selector.name].sort if selector.name in samples() else None
        rated = len(above) > 1 and function(above[-2]) in _RATES
        # What is never set back may be compared with itself, as it was before.
        if sort == "ledger" and not rated and any(_difference(node) for node in above):
            continue
        if sort in ("counter", "bucket", "ledger") and not rated:
            yield f"{selector.name} is a counter and not under rate or increase"
        if sort in ("gauge", "database", "recorded", "team") and rated:
            yield f"{selector.name} is a gauge and under {function(above[-2])}"


def _difference(node: syntax.Node) -> bool:
    """Return whether the node is what something is, less what the same was before."""
    if str(getattr(node, "op", "")) != "-":
        return False
    (now,), (before,) = ([found for found, _ in selectors(side)] for side in (node.lhs, node.rhs))
    then = before.offset is not None and now.offset is None
    return then and (now.name, syntax.matchers(now)) == (before.name, syntax.matchers(before))


def database_counts_are_never_summed(_panel: Json, _target: Json, query: syntax.Node) -> Complaints:
    """Each instance tells the same number: a sum would multiply it."""
    for selector, above in selectors(query):
        if selector.name in samples() and samples()[selector.name].sort in (
            "database",
            *OF_TEAMS,
        ):
            nearest = next((found for node in reversed(above) if (found := aggregation(node))), "")
            if nearest != "max":
                yield f"{selector.name} is read with {nearest or 'no aggregation'}, not max"


def ranges_are_grafanas(panel: Json, target: Json, _query: syntax.Node) -> Complaints:
    """Ranges follow the width of the picture, or in a snapshot the time shown.

    Or they are what the title or the description says.
    """
    said = f"{panel['title']} {panel.get('description', '')}"
    allowed = ["$__rate_interval", *(["$__range"] if target["instant"] else [])]
    allowed += [f"{minutes}m" for minutes in _OF_MINUTES.findall(said)]
    expression = re.sub(r'"[^"]*"', "", target["expr"])
    # What a graph chooses its series by is of the time shown, at each of its moments.
    chosen = expression.replace("[$__range] @ end()", "")
    for found in _RANGES.findall(chosen):
        if found not in allowed:
            yield f"range [{found}] is none of {', '.join(allowed)}"


def buckets_make_quantiles(panel: Json, _target: Json, query: syntax.Node) -> Complaints:
    """histogram_quantile(q, sum by (le, …) (rate(…))); a heatmap draws what is in it."""
    for selector, above in selectors(query):
        if selector.name not in samples() or samples()[selector.name].sort != "bucket":
            continue
        if panel["type"] == "heatmap":
            if [aggregation(node) or function(node) for node in above[:-1]] != ["sum", "rate"]:
                yield f"{selector.name} is not sum by (le) (rate())"
            continue
        shape = [aggregation(node) or function(node) for node in above[-4:-1]]
        quantile = shape == ["histogram_quantile", "sum", "rate"]
        if not quantile or "le" not in syntax.grouped_by(above[-3]):
            yield f"{selector.name} is not under histogram_quantile(q, sum by (le) (rate()))"


def snapshots_show_numbers(_panel: Json, target: Json, query: syntax.Node) -> Complaints:
    """The quantile of no events is NaN: a curve has a gap there, a table would show it."""
    if not target["instant"]:
        return
    for node, above in syntax.walk(query):
        if function(node) == "histogram_quantile" and not _filtered(above):
            yield "shows NaN where nothing happened: compare the quantile, >= 0"


def _filtered(above: tuple[syntax.Node, ...]) -> bool:
    return bool(above) and syntax.comparison(above[-1]) == ">="


def exemplars_are_of_latencies(panel: Json, target: Json, query: syntax.Node) -> Complaints:
    """Each course of the duration of requests shows single ones, once a panel."""
    asked = [each["refId"] for each in panel["targets"] if each.get("exemplar")]
    if panel["type"] not in ("timeseries", "heatmap"):
        if asked:
            yield f"shows exemplars on a {panel['type']}"
        return
    carries = any(found.name in EXEMPLIFIED for found, _ in selectors(query))
    if carries and len(asked) != 1:
        yield f"asks for exemplars in {asked or 'no query'}, not in one"
    if target.get("exemplar") and not carries:
        yield "asks for exemplars of what has none"


def sides_of_a_ratio_match(_panel: Json, _target: Json, query: syntax.Node) -> Complaints:
    """Series are divided by those with the same labels: else by nothing, or by themselves."""
    for node, _ in syntax.walk(query):
        found = [syntax.labels(side, labels_by_name()) for side in syntax.quotient(node)]
        if found and found[0] != found[1]:
            yield f"divides {sorted(found[0])} by {sorted(found[1])}"


def legends_tell_series_apart(panel: Json, target: Json, query: syntax.Node) -> Complaints:
    """The labels of a legend survive the query, and no label of the result is left out of it."""
    shown = set(_LEGEND.findall(target["legendFormat"]))
    has = syntax.labels(query, labels_by_name())
    if gone := shown - has:
        yield f"the legend shows {', '.join(sorted(gone))}, which the query drops"
    if panel["type"] != "table" and (hidden := has - shown):
        yield f"the legend leaves out {', '.join(sorted(hidden))}"
    if not target["legendFormat"]:
        yield "there is no legend"


RULES: tuple[Rule, ...] = (
    selectors_carry_the_choice,
    metrics_and_labels_are_known,
    counters_stand_under_rate,
    database_counts_are_never_summed,
    ranges_are_grafanas,
    buckets_make_quantiles,
    snapshots_show_numbers,
    exemplars_are_of_latencies,
    sides_of_a_ratio_match,
    legends_tell_series_apart,
)


def complaints(panel: Json, target: Json) -> Iterator[tuple[str, str]]:
    """Yield the name of a broken rule and what is wrong."""
    broken = list(parses(target))
    yield from ((parses.__name__, complaint) for complaint in broken)
    if broken:
        return
    target = {**target, "expr": promql.without_gaps(target["expr"])}
    query = promql.parsed(target["expr"])
    for rule in RULES:
        for complaint in rule(panel, target, query):
            yield rule.__name__, complaint
