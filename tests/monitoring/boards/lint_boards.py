"""Rules for a dashboard as a whole, and the entry to all rules."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from monitoring.grafana.generator import palette
from tests.monitoring.boards import lint_colors, lint_panels, lint_queries

Json = dict[str, Any]
Complaints = Iterator[str]
Rule = Callable[[str, Json], Complaints]
"""Takes the name of the file, without its suffix, and what it holds."""

DASHBOARDS = Path(__file__).parents[3] / "monitoring" / "grafana" / "dashboards"
WITH_SIGNALS = DASHBOARDS.parent / "signals" / "dashboards"
"""The same dashboards, with links into traces and logs."""
BOARDS = (
    "vibebox-overview",
    "api-performance",
    "environments",
    "slo",
    "team",
    "business",
    "telemetry",
)
COLUMNS = 24
# What Grafana itself knows.
_BUILT_IN = re.compile(r"__\w+")
_VARIABLE = re.compile(r"\$(?:{(\w+)(?::\w+)?}|([A-Za-z_]\w*))")


def panels(board: Json) -> list[Json]:
    """Return the panels that show something."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


OF_DAYS = ("business",)
"""Dashboards of what moves by days: alerts would cover their curves, and asking often is no use."""
REFRESHED = dict.fromkeys(OF_DAYS, "5m")


def stands_as_provisioned(name: str, board: Json) -> Complaints:
    """uid as the file, read-only, tagged, refreshed."""
    wanted = {
        "uid": name,
        "editable": False,
        "tags": ["vibebox"],
        "refresh": REFRESHED.get(name, "30s"),
        "schemaVersion": 41,
    }
    for key, value in wanted.items():
        if board.get(key) != value:
            yield f"{key} is {board.get(key)!r}, not {value!r}"


def ids_and_titles_are_unique(_name: str, board: Json) -> Complaints:
    """Panels are told apart by id in links and by title by people."""
    for key in ("id", "title"):
        counts = Counter(panel[key] for panel in board["panels"])
        for value, times in counts.items():
            if times > 1:
                yield f"{times} panels have the {key} {value!r}"


def panels_fill_the_grid(_name: str, board: Json) -> Complaints:
    """No two panels overlap, and no line of the grid has a hole."""
    taken: Counter[tuple[int, int]] = Counter()
    for panel in board["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            taken.update((x, y) for y in range(place["y"], place["y"] + place["h"]))
    height = max((y for _, y in taken), default=-1) + 1
    grid = {(x, y) for x in range(COLUMNS) for y in range(height)}
    if doubled := [cell for cell, times in taken.items() if times > 1]:
        yield f"panels overlap at {min(doubled)}"
    if outside := set(taken) - grid:
        yield f"a panel reaches past the grid at {min(outside)}"
    if holes := grid - set(taken):
        yield f"nothing stands at {min(holes)}"


def variables_are_used_and_defined(_name: str, board: Json) -> Complaints:
    """Every choice at the top chooses something, and nothing waits for one that is not there."""
    defined = {variable["name"] for variable in board["templating"]["list"]}
    used = {found for text in _texts(board) for found in _named(text)}
    if missing := used - defined:
        yield f"{', '.join(sorted(missing))} is used and not defined"
    if unused := defined - used:
        yield f"{', '.join(sorted(unused))} is defined and not used"


def _named(text: str) -> Iterator[str]:
    for braced, bare in _VARIABLE.findall(text):
        name = braced or bare
        # ${1} is what label_replace has matched.
        if not _BUILT_IN.fullmatch(name) and not name.isdigit():
            yield name


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield value


def choices_are_the_usual(name: str, board: Json) -> Complaints:
    """Data source, job and instance; the last two several at once and all of them.

    Series of teams have jobs of their own: there, it is the team. Where panels lead into traces and
    logs, whose they are can be chosen too.
    """
    choices = {variable["name"]: variable for variable in board["templating"]["list"]}
    wanted = ("team",) if name == "team" else ("job", "instance")
    if [each for each in choices if each != "service"] != ["datasource", *wanted]:
        yield f"the choices are {list(choices)}"
    for each in wanted:
        found = choices.get(each, {})
        if found.get("type") != "query" or not (found.get("multi") and found.get("includeAll")):
            yield f"{each} is no query for several and all"
    if choices.get(wanted[-1], {}).get("allValue") != "..*":
        yield f"all of {wanted[-1]} are not ..*, which is .+ without a space in addresses"


def marks_alerts_and_restarts(_name: str, board: Json) -> Complaints:
    """Curves are read beside what fired, what was restarted, and what was released."""
    marks = {mark["name"]: mark for mark in board["annotations"]["list"]}
    wanted = {
        **{f"Firing: {each}": f'severity="{each}"' for each in palette.SEVERITIES},
        "Restarts": "vibebox_process_start_time_seconds",
        "Releases": "vibebox_build_info",
    }
    for name, metric in wanted.items():
        mark = marks.get(name, {})
        wished = board["uid"] not in OF_DAYS or not name.startswith("Firing")
        broken = [*lint_queries.parses(mark)] if mark else ["is missing"]
        if broken or metric not in mark["expr"] or mark["enable"] != wished:
            yield f"the mark {name} {broken or 'shows something else'}"
    colors = [marks.get(f"Firing: {each}", {}).get("iconColor") for each in palette.SEVERITIES]
    if colors != [*palette.SEVERITIES.values()]:
        yield f"alerts are marked in {colors}"


def links_to_the_others(name: str, board: Json) -> Complaints:
    """From each dashboard to all others, and panels to those that there are."""
    found = [urlsplit(link["url"]).path.removeprefix("/d/") for link in board["links"]]
    if sorted(found) != sorted(set(BOARDS) - {name}):
        yield f"links lead to {found}"
    for panel in panels(board):
        for link in panel.get("links", []):
            target = urlsplit(link["url"]).path
            if target.startswith("/d/") and target.removeprefix("/d/") not in {*BOARDS} - {name}:
                yield f"{panel['title']} links to {target}"


RULES: tuple[Rule, ...] = (
    stands_as_provisioned,
    ids_and_titles_are_unique,
    panels_fill_the_grid,
    variables_are_used_and_defined,
    choices_are_the_usual,
    marks_alerts_and_restarts,
    links_to_the_others,
)


def complaints(name: str, board: Json) -> Iterator[tuple[str, str]]:
    """Yield the name of every broken rule, and where and what is wrong."""
    for rule in RULES:
        for complaint in rule(name, board):
            yield rule.__name__, complaint
    for panel in panels(board):
        for broken, complaint in (
            *lint_panels.complaints(panel),
            *lint_colors.complaints(panel),
        ):
            yield broken, f"{panel.get('title')}: {complaint}"
        for target in panel["targets"]:
            for broken, complaint in lint_queries.complaints(panel, target):
                yield broken, f"{panel.get('title')}, query {target['refId']}: {complaint}"
