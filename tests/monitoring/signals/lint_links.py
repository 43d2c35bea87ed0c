"""Rules for links into traces and logs. Each yields what is wrong, in words."""

from collections.abc import Callable, Iterator
from typing import Any

from tests.monitoring.boards import promql
from tests.monitoring.boards.known import samples
from tests.monitoring.signals import jaeger_search, known, logql
from tests.monitoring.signals.links import Link
from tests.monitoring.signals.templates import address, expand, pane_of, variables
from tests.monitoring.syntax import matchers, selectors

Json = dict[str, Any]
Complaints = Iterator[str]
Rule = Callable[[Link], Complaints]

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
_NUMBERS = ("__from", "__to", "__value.raw")
"""Variables that need no encoding: numbers and ids."""
_EXAMPLES = {
    "__from": "1700000000000",
    "__to": "1700003600000",
    "__rate_interval": promql.VARIABLES["__rate_interval"],
    "__tags": 'route="/api/v1/environments", method="GET"',
    "__value.raw": TRACE,
    "__trace.traceId": TRACE,
    "__span.traceId": TRACE,
    "__span.spanId": "00f067aa0ba902b7",
    "service": "vibe box&co",
}


def values_of(link: Link) -> dict[str, str]:
    """Return what its variables may stand for, with what addresses and queries stumble over."""
    labels = {path: "/a b/<c>&d=+#%" for path in link.variables if path.startswith(("__f", "__d"))}
    return {**labels, **_EXAMPLES}


def is_ours(link: Link) -> bool:
    """Tell whether it leads to traces and logs: other links of panels have rules of their own."""
    return not link.template.startswith("/d/") and "${datasource}" not in link.template


def query_of(link: Link) -> tuple[str, Json]:
    """Return the data source and the query that a link leads to. Raises: ValueError."""
    if link.uid is not None:
        name = {"loki": "expr", "prometheus": "expr"}.get(known.SOURCES.get(link.uid, ""), "query")
        return link.uid, {"refId": "A", name: expand(link.template, values_of(link))}
    pane = pane_of(address(link.template, values_of(link)))
    (query,) = pane["queries"]
    return pane["datasource"], query


def variables_are_there(link: Link) -> Complaints:
    """Each variable is one that Grafana has there; it would leave another as it is written."""
    for path, _ in variables(link.template):
        if path not in link.variables:
            yield f"there is no {path}"


def texts_are_encoded(link: Link) -> Complaints:
    """What stands in a text of JSON, in an address, is encoded as the rest of that text."""
    if link.uid is not None:
        return
    for path, form in variables(link.template):
        if path not in _NUMBERS and form != "percentencode":
            yield f"{path} is not encoded"


def source_is_provisioned(link: Link) -> Complaints:
    """Each leads to a data source of the profile."""
    uid, _ = query_of(link)
    if uid not in known.SOURCES:
        yield f"there is no data source {uid}"


def panels_keep_their_time(link: Link) -> Complaints:
    """From a panel one sees the time that it shows."""
    if link.sort in ("panel", "series", "row"):
        shown = pane_of(address(link.template, values_of(link)))["range"]
        if shown != {"from": _EXAMPLES["__from"], "to": _EXAMPLES["__to"]}:
            yield f"shows {shown}"


def service_is_chosen(link: Link) -> Complaints:
    """From a panel one sees the service that is chosen at the top of the dashboard."""
    if link.sort in ("panel", "series", "row"):
        _, query = query_of(link)
        told = str(query.get("service", query.get("expr")))
        if _EXAMPLES["service"] not in told:
            yield "is not of the chosen service"


def traces_are_searched_as_jaeger_can(link: Link) -> Complaints:
    """A trace by its id, or a search by attributes that spans have."""
    uid, query = query_of(link)
    if known.SOURCES.get(uid) != "jaeger":
        return
    try:
        if jaeger_search.trace_of(query) is not None:
            return
        jaeger_search.parameters_of(query)
        tags = jaeger_search.tags_of(query.get("tags", ""))
    except ValueError as error:
        yield str(error)
    else:
        for name in set(tags) - known.attributes():
            yield f"no span has {name}"


def lines_are_searched_by_known_fields(link: Link) -> Complaints:
    """LogQL, with names that lines have."""
    uid, query = query_of(link)
    if known.SOURCES.get(uid) != "loki":
        return
    try:
        found = logql.parse(query["expr"])
    except ValueError as error:
        yield f"does not parse: {error}"
    else:
        for one in found.all:
            if one.label not in known.fields():
                yield f"no line has {one.label}"


def numbers_are_known(link: Link) -> Complaints:
    """PromQL, with series and labels that there are, tags of spans in their place."""
    if link.sort != "span to numbers":
        return
    _, query = query_of(link)
    try:
        tree = promql.parsed(query["expr"])
    except ValueError as error:
        yield f"does not parse: {error}"
        return
    for selector, _ in selectors(tree):
        has = samples()[selector.name].labels if selector.name in samples() else {}
        for label, _, _ in matchers(selector):
            if label not in has:
                yield f"{selector.name} has no label {label}"
    for tag in link.source["tags"]:
        if tag["key"] not in known.attributes():
            yield f"no span has {tag['key']}"


RULES: tuple[Rule, ...] = (
    variables_are_there,
    texts_are_encoded,
    source_is_provisioned,
    panels_keep_their_time,
    service_is_chosen,
    traces_are_searched_as_jaeger_can,
    lines_are_searched_by_known_fields,
    numbers_are_known,
)


def complaints(link: Link) -> Iterator[tuple[str, str]]:
    """Yield the name of a broken rule, and where and what is wrong."""
    for rule in RULES if is_ours(link) else ():
        try:
            for complaint in rule(link):
                yield rule.__name__, f"{link.where}: {complaint}"
        except Exception as error:  # of a template that does not even become a query
            yield rule.__name__, f"{link.where}: {error!r}"
