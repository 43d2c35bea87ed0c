"""Every link into traces and logs, where it stands and as it is written."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import yaml

from tests.monitoring.boards.known import labels_by_name
from tests.monitoring.boards.lint_boards import BOARDS, panels
from tests.monitoring.boards.promql import parsed
from tests.monitoring.signals.known import SIGNALS
from tests.monitoring.signals.templates import provisioned
from tests.monitoring.syntax import labels

Json = dict[str, Any]
Sort = Literal["exemplar", "line", "span to lines", "span to numbers", "panel", "series", "row"]
TIME = ("__from", "__to")


@dataclass(frozen=True)
class Link:
    """A link, and what Grafana has to fill in where it stands.

    Attributes:
        where: for messages.
        sort: what it is a link of.
        uid: the data source, where it is not in the address.
        template: an address, or the query where there is a data source.
        variables: what may stand in the template.
        source: what has the link: a data source's configuration, or the panel.
    """

    where: str
    sort: Sort
    uid: str | None
    template: str
    variables: frozenset[str]
    source: Json


@cache
def sources() -> dict[str, Json]:
    """Return the data sources of the profile by their uid, as Grafana reads them."""
    found = {}
    for file in sorted((SIGNALS / "datasources").glob("*.yml")):
        for source in yaml.safe_load(file.read_text())["datasources"]:
            found[source["uid"]] = provisioned(source)
    return found


@cache
def board(name: str) -> Json:
    """Return a dashboard of the profile."""
    found: Json = json.loads((SIGNALS / "dashboards" / f"{name}.json").read_text())
    return found


def of_sources(found: Mapping[str, Json]) -> Iterator[Link]:
    """Yield the links that data sources have."""
    for uid, source in found.items():
        data = source["jsonData"]
        for one in data.get("exemplarTraceIdDestinations", []):
            yield _of_value(f"exemplars, {one['name']}", "exemplar", one)
        for one in data.get("derivedFields", []):
            yield _of_value(f"lines, {one['name']}", "line", one)
        yield from _of_spans(uid, data)


def _of_spans(uid: str, data: Json) -> Iterator[Link]:
    if lines := data.get("tracesToLogsV2"):
        known = frozenset({"__trace.traceId", "__span.traceId", "__span.spanId", "__tags"})
        to, query = lines["datasourceUid"], lines["query"]
        yield Link(f"{uid}, to logs", "span to lines", to, query, known, lines)
    if numbers := data.get("tracesToMetrics"):
        known = frozenset({"__tags", "__rate_interval"})
        for one in numbers["queries"]:
            where, to = f"{uid}, {one['name']}", numbers["datasourceUid"]
            yield Link(where, "span to numbers", to, one["query"], known, numbers)


def _of_value(where: str, sort: Sort, one: Json) -> Link:
    known = frozenset({"__value.raw"})
    return Link(where, sort, one.get("datasourceUid"), one["url"], known, one)


def of_boards() -> Iterator[Link]:
    """Yield the links that panels and their series have."""
    for name in BOARDS:
        shown = board(name)
        choices = {variable["name"] for variable in shown["templating"]["list"]}
        for panel in panels(shown):
            yield from of_panel(f"{name}: {panel['title']}", panel, choices)


def of_panel(where: str, panel: Json, choices: Collection[str]) -> Iterator[Link]:
    """Yield the links of one panel of a dashboard with these choices."""
    known = frozenset({*choices, *TIME, "__url_time_range", "__all_variables"})
    for link in panel["links"]:
        yield Link(f"{where}, {link['title']}", "panel", None, link["url"], known, panel)
    for sort, more, found in _of_data(panel):
        for link in found:
            named = f"{where}, {sort}: {link['title']}"
            yield Link(named, sort, None, link["url"], known | more, panel)


def _of_data(panel: Json) -> Iterator[tuple[Sort, set[str], list[Json]]]:
    """Yield the links of series and rows, with what may stand for their labels."""
    targets = panel["targets"]
    for override in panel["fieldConfig"]["overrides"]:
        matcher = override["matcher"]
        links = [
            link for one in override["properties"] if one["id"] == "links" for link in one["value"]
        ]
        if links and matcher["id"] == "byName":
            yield "row", _labels(targets, "__data.fields"), links
        elif links:
            of_query = [one for one in targets if one["refId"] == matcher["options"]]
            yield "series", _labels(of_query, "__field.labels"), links


def _labels(targets: list[Json], prefix: str) -> set[str]:
    """Return what stands for the labels that the series of all these queries have."""
    each = [labels(parsed(one["expr"]), labels_by_name()) for one in targets]
    return {f"{prefix}.{label}" for label in frozenset.intersection(*each)}
