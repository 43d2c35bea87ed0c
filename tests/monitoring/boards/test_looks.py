"""Two names of a legend never look the same.

Of lines: bars and stacks lie on one another, in an order that the legend has too.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Set
from typing import Any

import pytest

from monitoring.grafana.generator import palette
from prefork_metrics.family import OTHER
from tests.monitoring.boards.known import samples
from tests.monitoring.boards.lint_boards import BOARDS, Json, panels
from tests.monitoring.boards.promql import parsed
from tests.monitoring.boards.window import board
from tests.monitoring.syntax import selectors

_LABEL = re.compile(r"{{(\w+)}}")
PROCESSES = ("master", "agent", "web-0", "web-1", "web-2", "web-3")


def _values(label: str, expression: str) -> Set[str]:
    """Return what a label of a closed set may be in what a query finds, of what is expected."""
    if label == "worker":
        return {*PROCESSES}
    read = [samples()[found.name].labels.get(label) for found, _ in selectors(parsed(expression))]
    known = [values for values in read if values]
    return min(known, key=len) - {OTHER} if known else set()


def _names(panel: Json) -> Iterator[str]:
    """Yield the names that a legend may have; what has an open set has shades instead."""
    for target in panel["targets"]:
        legend = target["legendFormat"]
        labels = _LABEL.findall(legend)
        if not labels:
            yield legend
        elif len(labels) == 1:
            for value in _values(labels[0], target["expr"]):
                yield legend.replace(f"{{{{{labels[0]}}}}}", value)


def _matches(matcher: Json, name: str) -> bool:
    text = str(matcher.get("options"))
    if matcher["id"] == "byRegexp":
        return re.fullmatch(text.strip("/^$"), name) is not None
    return matcher["id"] == "byName" and text == name


def _look(panel: Json, name: str) -> str:
    """Return colour and line of a series: of several overrides the last one counts."""
    found: dict[str, Any] = {}
    for override in panel["fieldConfig"]["overrides"]:
        if _matches(override["matcher"], name):
            found |= {each["id"]: each["value"] for each in override["properties"]}
    return str([found.get(key) for key in ("color", "custom.lineStyle")])


def alike(panel: Json) -> list[list[str]]:
    """Return the names of a panel of lines that look the same."""
    custom = panel["fieldConfig"]["defaults"].get("custom", {})
    lines = custom.get("drawStyle") == "line" and custom["stacking"]["mode"] == "none"
    if panel["type"] != "timeseries" or not lines:
        return []
    names = defaultdict(list)
    for name in sorted({*_names(panel)}):
        names[_look(panel, name)].append(name)
    return [found for found in names.values() if len(found) > 1]


@pytest.mark.parametrize("name", BOARDS)
def test_names_of_a_panel_have_looks_of_their_own(name: str) -> None:
    found = {panel["title"]: alike(panel) for panel in panels(board(name)) if alike(panel)}
    assert found == {}


def test_grey_is_no_kind() -> None:
    """Beside the rest, a kind in grey could be told by its dashes alone."""
    assert palette.NAMES["rest"] == palette.Look(palette.REST)
    for label in ("operation", "method", "check", "limit"):
        assert palette.REST not in {look.color for look in palette.MEANINGS[label].values()}


def test_the_rest_looks_like_no_kind() -> None:
    (panel,) = (
        each
        for each in panels(board("environments"))
        if each["title"] == "Docker operations by kind"
    )
    plain = [{"id": "color", "value": {"mode": "fixed", "fixedColor": palette.BLUE}}]
    rest = {"matcher": {"id": "byName", "options": "rest"}, "properties": plain}
    config = panel["fieldConfig"]
    kept = [each for each in config["overrides"] if each["matcher"] != rest["matcher"]]
    broken = {**panel, "fieldConfig": {**config, "overrides": [*kept, rest]}}
    assert alike(broken) == [["ping", "rest"]]
