"""Rules for the colours of a panel. Each yields what is wrong, in words."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from monitoring.grafana.generator import palette

Json = dict[str, Any]
Complaints = Iterator[str]
Rule = Callable[[Json], Complaints]

MODES = {"thresholds", "fixed", "shades"}
"""Ways of giving colours that are ours. Others take them from a list of Grafana's, in the order in
which series come."""
WRONG = (
    *("5", "error", "failure", "killed", "crashed", "timeout", "oom", "server_error"),
    *("unhandled_exception", "hidden", "full", "read_only", "denied", "missing", "critical"),
)
"""Values of labels that say that something is wrong; 5: statuses of 500 and above."""


_COLORS = {
    *(*palette.ALL, palette.BARE, "dash"),
    *chain(*palette.TINTS.values(), *palette.KINDS, palette.FILLS.values()),
}


def colors_are_of_the_palette(panel: Json) -> Complaints:
    """Every colour has a meaning, and none comes by its turn."""
    for key, value in _walk(panel):
        if key in ("color", "fixedColor", "fill") and isinstance(value, str):
            if value not in _COLORS:
                yield f"{key} is {value}"
    for mode in _modes(panel):
        if mode not in MODES:
            yield f"takes colours by {mode}"


def _modes(panel: Json) -> Iterator[str]:
    yield panel["fieldConfig"]["defaults"]["color"]["mode"]
    for override in panel["fieldConfig"]["overrides"]:
        for each in override["properties"]:
            if each["id"] == "color":
                yield each["value"]["mode"]


def red_is_what_is_wrong(panel: Json) -> Complaints:
    """A series that is red, or whatever its value is, is one that should not be."""
    for override in panel["fieldConfig"]["overrides"]:
        red = any(
            each["id"] == "color" and each["value"]["fixedColor"] in palette.TINTS[palette.CRITICAL]
            for each in override["properties"]
        )
        name = str(override["matcher"].get("options"))
        if red and not _wrong(name):
            yield f"{name} is red"
    defaults = panel["fieldConfig"]["defaults"]
    if defaults["color"].get("fixedColor") == palette.CRITICAL:
        yield "is red all over"
    reds = [step["color"] == palette.CRITICAL for step in defaults["thresholds"]["steps"]]
    # Of a graph they are lines, each in the colour of what begins there.
    between = panel["type"] != "timeseries" and any(reds[1:-1])
    if reds == [True] or between:
        yield "is red in between, or at every value"


def _wrong(name: str) -> bool:
    text = name.strip("/^$").replace("\\", "")
    return any(text.startswith(word) or text.endswith(word) for word in WRONG)


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield key, each
            yield from _walk(each)
    elif isinstance(value, list):
        for each in value:
            yield from _walk(each)


RULES: tuple[Rule, ...] = (colors_are_of_the_palette, red_is_what_is_wrong)


def complaints(panel: Json) -> Iterator[tuple[str, str]]:
    """Yield the name of a broken rule and what is wrong."""
    for rule in RULES:
        for complaint in rule(panel):
            yield rule.__name__, complaint
