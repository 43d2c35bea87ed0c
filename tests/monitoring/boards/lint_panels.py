"""Rules for a panel. Each yields what is wrong, in words."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from grafana_foundation_sdk.models import units

from monitoring.grafana.generator import palette

Json = dict[str, Any]
Complaints = Iterator[str]
Rule = Callable[[Json], Complaints]

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
UNITS = {value for name, value in vars(units).items() if name[0].isupper()}
WORDS = {f"suffix:{word}" for word in ("cores", "s/s", "lines", "lines/s", "/h")}
"""Units that are a word of ours behind the number."""
REDUCERS = {"lastNotNull", "last", "first", "min", "max", "mean", "sum", "count", "range", "delta"}
"""Ids that Grafana calls its reducers by; those that we have a use for."""
TRANSFORMATIONS = {"merge", "organize"}
KEPT = ("${__url_time_range}", "${__all_variables}")
"""What a link of a panel takes along: the time shown, and the choices."""
TIME = {"from": "${__from}", "to": "${__to}"}
_CHOSEN = re.compile(r"\$\{(\w+):pipe\}")
"""A choice as it can arrive in an address."""
SNAPSHOTS = ("bargauge", "table", "stat")
COURSES = ("timeseries", "state-timeline", "heatmap")
"""A stat too: of a course, Grafana shows the last value for as long as it is in the time shown."""
ZEROS = {"id": "byValue", "options": {"reducer": "allIsZero", "op": "gte", "value": 0}}
LEAST_DESCRIPTION = 15
WORST_IS_LEAST = {"Error budget left"}
"""Panels whose largest value says nothing: of a budget it is what it began with."""


def has_title_and_description(panel: Json) -> Complaints:
    """A title, and a sentence that says what the title cannot."""
    if not panel.get("title"):
        yield "has no title"
    text = panel.get("description", "")
    if len(text) < LEAST_DESCRIPTION or not text.endswith("."):
        yield f"has no description: {text!r}"


def reads_the_chosen_source(panel: Json) -> Complaints:
    """The data source chosen at the top, in the panel and in each query."""
    for place in (panel, *panel["targets"]):
        if place.get("datasource") != SOURCE:
            yield f"reads {place.get('datasource')}"


def unit_is_known(panel: Json) -> Complaints:
    """Grafana shows an unknown unit as text behind the number."""
    config = panel["fieldConfig"]
    named = [config["defaults"].get("unit")]
    named += [
        each["value"]
        for override in config["overrides"]
        for each in override["properties"]
        if each["id"] == "unit"
    ]
    for unit in named:
        if unit not in UNITS | WORDS:
            yield f"unit {unit!r} is not known"


def reducers_are_known(panel: Json) -> Complaints:
    """Of the value that a panel shows, and of its legend; a panel of one value has exactly one."""
    options = panel["options"]
    shown = options.get("reduceOptions", {}).get("calcs")
    if panel["type"] in ("stat", "bargauge") and len(shown or []) != 1:
        yield f"reduces by {shown}"
    for name in [*(shown or []), *options.get("legend", {}).get("calcs", [])]:
        if name not in REDUCERS:
            yield f"reducer {name!r} is not known"


def transformations_are_known(panel: Json) -> Complaints:
    """Grafana leaves a panel empty when it does not know one."""
    for each in panel.get("transformations", []):
        if each["id"] not in TRANSFORMATIONS:
            yield f"transformation {each['id']!r} is not known"


def thresholds_ascend_from_null(panel: Json) -> Complaints:
    """The first colour has no value, and each later one begins above the one before."""
    steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
    values = [step["value"] for step in steps]
    if not values or values[0] is not None or None in values[1:]:
        yield f"thresholds begin with {values[:1]}"
    elif values[1:] != sorted(set(values[1:])):
        yield f"thresholds do not ascend: {values}"


def stacked_graphs_begin_at_zero(panel: Json) -> Complaints:
    """Else the lowest series looks smaller than it is."""
    defaults = panel["fieldConfig"]["defaults"]
    mode = defaults.get("custom", {}).get("stacking", {}).get("mode", "none")
    if mode != "none" and defaults.get("min") != 0:
        yield "is stacked and does not begin at 0"


def snapshots_are_instant(panel: Json) -> Complaints:
    """A panel of the time shown asks once; a graph asks for the course."""
    for target in panel["targets"]:
        if target["instant"] == target["range"]:
            yield f"query {target['refId']} is instant and a range at once, or neither"
        if panel["type"] in SNAPSHOTS and not target["instant"]:
            yield f"query {target['refId']} is not instant"
        if panel["type"] in COURSES and target["instant"]:
            yield f"query {target['refId']} is instant"


def says_that_there_is_nothing(panel: Json) -> Complaints:
    """And what that means, in the description."""
    shown = panel["fieldConfig"]["defaults"].get("noValue", "")
    if not shown:
        yield "does not say that there is nothing"
    elif f'"{shown}": ' not in panel["description"]:
        yield f"its description does not say what {shown!r} means"


def curves_have_no_points(panel: Json) -> Complaints:
    """Lines alone, and a legend that is a table of the largest value and the last, or the sum.

    Series that were 0 all the time stand on no line of it.
    """
    if panel["type"] != "timeseries":
        return
    if panel["fieldConfig"]["defaults"]["custom"]["showPoints"] != "never":
        yield "shows points"
    legend = panel["options"]["legend"]
    bars = panel["fieldConfig"]["defaults"]["custom"]["drawStyle"] == "bars"
    wanted = ["max", "sum"] if bars else ["lastNotNull", "max"]
    if panel["title"] in WORST_IS_LEAST:
        wanted = ["lastNotNull", "min"]
    if (legend["displayMode"], legend["calcs"]) != ("table", wanted):
        yield f"has the legend {legend}"
    hidden = [
        each["value"]
        for override in panel["fieldConfig"]["overrides"]
        if override["matcher"] == ZEROS
        for each in override["properties"]
        if each["id"] == "custom.hideFrom"
    ]
    # Series that queries name themselves, or instances, are few, and always the same.
    names = [target["legendFormat"].replace("{{instance}}", "") for target in panel["targets"]]
    many = any("{{" in name or name == palette.WHOLE for name in names)
    if many and hidden != [{"legend": True, "tooltip": True, "viz": True}]:
        yield "lists what was 0 all the time"


def links_one_level_down(panel: Json) -> Complaints:
    """To a dashboard with the details, or to Explore with the panel's own queries."""
    if not panel.get("links"):
        yield "has no link"
    for link in panel.get("links", []):
        path = urlsplit(link["url"]).path
        if path == "/explore" and "${datasource}" not in link["url"]:
            continue  # into traces and logs: tests/monitoring/signals
        if path == "/explore":
            yield from _broken_explore(panel, link["url"])
        elif not path.startswith("/d/") or not all(text in link["url"] for text in KEPT):
            yield f"the link {link['url']} leads nowhere, or loses the choice or the time shown"


def _broken_explore(panel: Json, url: str) -> Complaints:
    (pane,) = json.loads(parse_qs(urlsplit(url).query)["panes"][0]).values()
    if pane["datasource"] != "${datasource}" or pane.get("range") != TIME:
        yield "Explore would show another time, or another source"
    here = [target["expr"] for target in panel["targets"]]
    there = [_CHOSEN.sub(r"$\1", query["expr"]) for query in pane["queries"]]
    if here != there:
        yield f"Explore would show {there}"


RULES: tuple[Rule, ...] = (
    has_title_and_description,
    reads_the_chosen_source,
    unit_is_known,
    reducers_are_known,
    transformations_are_known,
    thresholds_ascend_from_null,
    stacked_graphs_begin_at_zero,
    snapshots_are_instant,
    says_that_there_is_nothing,
    curves_have_no_points,
    links_one_level_down,
)


def complaints(panel: Json) -> Iterator[tuple[str, str]]:
    """Yield the name of a broken rule and what is wrong."""
    for rule in RULES:
        for complaint in rule(panel):
            yield rule.__name__, complaint
