"""Which look each series of a panel has: by what its legend says, from the palette."""

import re
from collections.abc import Iterator
from typing import Any

from monitoring.grafana.generator import palette
from monitoring.grafana.generator.palette import Look
from monitoring.grafana.generator.panels import Panel, Query

Json = dict[str, Any]

LABEL = re.compile(r"{{(\w+)}}")


def default_color(panel: Panel) -> Json:
    """Return how series get their colour that nothing else says."""
    if panel.kind in ("timeseries",) or panel.by_kind:
        return {"mode": "shades", "fixedColor": panel.queries[0].color}
    return {"mode": "thresholds"}


def color_overrides(panel: Panel) -> Iterator[Json]:
    """Yield the looks of series that the palette has something to say about."""
    if panel.kind != "timeseries" and not panel.by_kind:
        return
    for query in panel.queries:
        for matcher, look in _looks(query):
            yield {"matcher": matcher, "properties": list(_properties(look, panel))}
        for role, dash in palette.ROLES.items():
            if "{{role}}" in query.legend:
                yield {
                    "matcher": _matching(query.legend, {"role": role}),
                    "properties": [_dashed(dash)],
                }


def _looks(query: Query) -> Iterator[tuple[Json, Look]]:
    labels = LABEL.findall(query.legend)
    named = _of_name(query, bool(labels))
    if named and len(labels) != 1:
        yield named
        return
    known = [label for label in labels if label in (*palette.MEANINGS, *palette.PATTERNS)]
    if not known:
        if named:
            yield named
        return
    label = known[0]
    dynamic = len(labels) > 1
    # Of several overrides, Grafana's last one counts.
    for pattern, look in palette.PATTERNS.get(label, ()):
        yield _matching(query.legend, {label: pattern}), look
    for value, look in palette.MEANINGS.get(label, {}).items():
        yield _named(query.legend.replace(f"{{{{{label}}}}}", value), dynamic), look


def _of_name(query: Query, dynamic: bool) -> tuple[Json, Look] | None:
    """Return the look of a series that a query names itself, and the matcher for it."""
    look = palette.NAMES.get(query.legend.split(" ")[0])
    if look is None and query.color != palette.NEUTRAL:
        look = Look(query.color)
    if look is None:
        return None
    return _named(query.legend, dynamic), look._replace(shades=dynamic)


def _named(legend: str, dynamic: bool) -> Json:
    if dynamic:
        return _matching(legend, {})
    return {"id": "byName", "options": legend}


def _matching(legend: str, patterns: dict[str, str]) -> Json:
    """Return a matcher of names in which labels are what they may be."""
    parts = LABEL.split(legend)
    # Between the texts are the labels.
    text = "".join(
        patterns.get(part, ".*") if number % 2 else re.escape(part).replace("\\ ", " ")
        for number, part in enumerate(parts)
    )
    return {"id": "byRegexp", "options": f"/^{text}$/"}


def _properties(look: Look, panel: Panel) -> Iterator[Json]:
    mode = "shades" if look.shades else "fixed"
    yield {"id": "color", "value": {"mode": mode, "fixedColor": look.color}}
    if look.dash and panel.kind == "timeseries" and not (panel.stacked or panel.sparse):
        yield _dashed(look.dash)


def _dashed(dash: tuple[int, ...]) -> Json:
    return {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": list(dash)}}
