"""Legends have room for what there may be: Grafana hides what is beyond, until somebody scrolls.

In windows narrower than 992 pixels it puts every legend below the curves; the largest stand first.
"""

import re

import pytest

from monitoring.grafana.generator import palette
from prefork_metrics.family import OTHER
from tests.monitoring.boards.known import samples
from tests.monitoring.boards.lint_boards import BOARDS, Json, panels
from tests.monitoring.boards.promql import parsed
from tests.monitoring.boards.window import board
from tests.monitoring.syntax import selectors

ROW, BELOW = 24, 0.35
"""Pixels of a line of a legend and of its heading; and its share of the panel, if it is below."""
CELL, GAP, HEADING = 38, 8, 56
"""Pixels of a line of the grid, between two panels, and of what a panel has around its curves."""
_LABEL = re.compile(r"{{(\w+)}}")
_TOP = re.compile(r"topk\((\d+), ")
OPEN = {"instance", "team", "family", "route", "environment", "project", "currency"}
"""Labels without a closed set: one value of each is counted."""
PROCESSES = 6
"""Four workers, the master and the agent."""
RARE = {
    # Of these, few are other than 0 at a time, and the largest stand first.
    "Request rate by status code": 12,
    **dict.fromkeys(("Requests for an account", "Worker exits by reason"), 4),
    **dict.fromkeys(
        ("Parts left out by collector", "Failed rounds by step", "Clients cut off by reason"), 3
    ),
}
"""How many are listed, by title, where it is fewer than there may be."""


def _room(panel: Json) -> float:
    """Return how many lines the legend has below its heading."""
    height: float = panel["gridPos"]["h"] * CELL - GAP - HEADING
    right = panel["options"]["legend"]["placement"] == "right"
    return height * (1 if right else BELOW) / ROW - 1


def _values(label: str, expression: str) -> int:
    """Return how many values a label of what a query finds may have; of an open set, one."""
    if label in OPEN:
        return 1
    if label == "worker":
        return PROCESSES
    read = [samples()[found.name].labels.get(label) for found, _ in selectors(parsed(expression))]
    known = [len(values - {OTHER}) for values in read if values]
    return max(known, default=len(palette.MEANINGS.get(label, ())))


def _lines(panel: Json) -> int:
    """Return how many lines the legend may have."""
    if panel["title"] in RARE:
        return RARE[panel["title"]]
    found = 0
    for target in panel["targets"]:
        lines = 1
        for label in _LABEL.findall(target["legendFormat"]):
            lines *= _values(label, target["expr"])
        most = _TOP.search(target["expr"])
        # What is beyond the top is one line, by a name of its own.
        found += int(most[1]) if most and "{{" in target["legendFormat"] else lines
    return found


@pytest.mark.parametrize("name", BOARDS)
def test_legends_have_room(name: str) -> None:
    short = {
        panel["title"]: (_lines(panel), round(_room(panel), 1))
        for panel in panels(board(name))
        if panel["type"] == "timeseries" and _lines(panel) > _room(panel) + 0.5
    }
    assert short == {}
