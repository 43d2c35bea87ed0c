"""Turns boards into Grafana's classic dashboard JSON (schema 41)."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from monitoring.grafana.generator.drawing import field_config, lettered, options, transformations
from monitoring.grafana.generator.links import board_link, explore_link, panel_link
from monitoring.grafana.generator.panels import MEANS, Board, Panel, Row
from monitoring.grafana.generator.signals import leads, panel_links, series_links
from monitoring.grafana.generator.surroundings import annotations, service, variables

Json = dict[str, Any]

SCHEMA_VERSION = 41
COLUMNS = 24
_HEIGHTS = {"stat": 3, "state-timeline": 6}
_HEIGHT = 10
_BAR = "1m"
"""The least width of a bar: from three scrapes of 15 s on, the range of a rate is the bar and one
scrape. It is the panel's own setting: Grafana would take a target's for the time of a scrape."""
_FORMATS = {"table": "table", "heatmap": "heatmap"}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def as_text(board: Board, boards: Sequence[Board], signals: bool = False) -> str:
    """Return the file of a board; the others are what it links to.

    signals: whether this is for a Grafana that has traces and logs too, to which panels then lead.
    """
    return json.dumps(as_json(board, boards, signals), indent=2, ensure_ascii=False) + "\n"


def as_json(board: Board, boards: Sequence[Board], signals: bool) -> Json:
    """Return a board as Grafana stores it."""
    panels = list(_placed(board.rows))
    if board.interval:
        for target in (each for panel in panels for each in panel.get("targets", ())):
            # From here Grafana knows over which range a rate has the samples that it needs.
            target["interval"] = board.interval
    choices = [*map(dict, board.choices)] or variables()
    by_title = {panel.title: panel for panel in board.panels if signals and leads(panel)}
    for written in panels:
        if panel := by_title.get(written["title"]):
            _lead_on(written, panel)
    if by_title:
        choices.append(service())
    return {
        "uid": board.uid,
        "title": board.title,
        "description": board.description,
        "tags": ["vibebox"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": board.refresh,
        "time": {"from": board.time, "to": "now"},
        "timezone": "browser",
        "links": [board_link(other) for other in boards if other.uid != board.uid],
        "annotations": {"list": annotations(not board.choices, board.marks)},
        "templating": {"list": choices},
        "panels": panels,
    }


def _placed(rows: Sequence[Row]) -> Iterator[Json]:
    """Lay rows and panels out from left to right and from top to bottom."""
    numbers, y = _numbers(rows), 0
    for row in rows:
        number = numbers[row.title]
        yield _heading(row, number, y)
        number, y = number + 1, y + 1
        for line in _lines(row):
            x, height = 0, max(panel.height or _HEIGHTS.get(panel.kind, _HEIGHT) for panel in line)
            for panel in line:
                yield _panel(panel, number, {"x": x, "y": y, "w": panel.width, "h": height})
                number, x = number + 1, x + panel.width
            y += height


def _numbers(rows: Sequence[Row]) -> dict[str, int]:
    """Return the number of each row by its title; its panels follow, and added rows come last."""
    numbers, number = {}, 1
    for row in sorted(rows, key=lambda row: row.added):
        numbers[row.title] = number
        number += 1 + len(row.panels)
    return numbers


def _lines(row: Row) -> Iterator[list[Panel]]:
    """Break the panels of a row into lines that are full."""
    line: list[Panel] = []
    for panel in row.panels:
        line.append(panel)
        if sum(each.width for each in line) == COLUMNS:
            yield line
            line = []
    if line:
        raise ValueError(f"row {row.title!r} ends with a line that is not {COLUMNS} wide")


def _heading(row: Row, number: int, y: int) -> Json:
    return {
        "id": number,
        "type": "row",
        "title": row.title,
        "collapsed": False,
        "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
        "panels": [],
    }


def _panel(panel: Panel, number: int, place: dict[str, int]) -> Json:
    found = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": _description(panel),
        "gridPos": place,
        "datasource": dict(SOURCE),
        "links": [panel_link(panel)],
        "targets": list(_targets(panel)),
        "fieldConfig": field_config(panel),
        "options": options(panel),
    }
    if panel.sparse:
        found["interval"] = panel.bar or _BAR
    if panel.kind == "table":
        found["transformations"] = transformations(panel)
    return found


def _description(panel: Panel) -> str:
    """Return what a panel shows, and what it means that it is empty."""
    meaning = MEANS.get(panel.empty or "")
    return f"{panel.description} {meaning}" if meaning else panel.description


def _lead_on(written: Json, panel: Panel) -> None:
    """Add the links into traces and logs to a panel."""
    written["links"] += [explore_link(*link) for link in panel_links(panel)]
    if links := series_links(panel):
        written["fieldConfig"]["overrides"].append(
            {"matcher": _linked(panel), "properties": [{"id": "links", "value": links}]}
        )


def _linked(panel: Panel) -> Json:
    """Return where the links of series stand: the first query's have all labels that they name."""
    if panel.kind == "table":
        return {"id": "byName", "options": panel.columns[0][0]}
    return {"id": "byFrameRefID", "options": "A"}


def _targets(panel: Panel) -> Iterator[Json]:
    for letter, query in lettered(panel.queries):
        exemplars = {"exemplar": True} if panel.exemplars and letter == "A" else {}
        yield {
            **exemplars,
            "refId": letter,
            "datasource": dict(SOURCE),
            "editorMode": "code",
            "expr": query.expression,
            "legendFormat": query.legend,
            "format": _FORMATS.get(panel.kind, "time_series"),
            "instant": panel.snapshot,
            "range": not panel.snapshot,
        }
