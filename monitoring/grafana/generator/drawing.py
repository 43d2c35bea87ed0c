"""How panels are drawn: the options of each kind, with what they share said once."""

from collections.abc import Iterator, Sequence
from string import ascii_uppercase
from typing import Any, TypeVar

from monitoring.grafana.generator import palette
from monitoring.grafana.generator.coloring import LABEL, color_overrides, default_color
from monitoring.grafana.generator.levels import Thresholds, filled
from monitoring.grafana.generator.panels import Panel

Json = dict[str, Any]
T = TypeVar("T")

_LAST = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_TOOLTIP = {"mode": "multi", "sort": "desc", "hideZeros": True}
_STATES, _COUNTS = {"titleSize": 12, "valueSize": 14}, {"titleSize": 12, "valueSize": 24}
"""Pixels of states, and of numbers, side by side; else Grafana gives each another size."""
_WIDE = 16
"""Columns from which on a legend has its place beside the curves."""
_LONG = ("{{route}}", "{{team}}", "{{environment}}")
"""Labels whose values have no room beside bars."""
_NAME, _VALUE = 11, 16
"""Pixels of texts beside bars. Grafana makes room for the name with the most letters, in the size
that it would choose: in a smaller one, names with wider letters are not cut off either."""
_BRIDGED = 60 * 60 * 1000
"""Milliseconds of a gap over which a line may lead: longer, something was missing."""
_FLOORS = {
    **dict.fromkeys(("none", "short", "reqps", "ops", "suffix:lines/s"), 1),
    **dict.fromkeys(("suffix:/h",), 1),
    **dict.fromkeys(("suffix:cores", "suffix:s/s"), 0.01),
    **dict.fromkeys(("bytes", "Bps"), 1024),
    "s": 0.001,
    "percentunit": 0.01,
}
"""To where the axis reaches at least, by unit; without it, Grafana writes 100 beside what never
happened. Where something did it is in nobody's way: it is the least that is worth a look."""
_NO_VALUE = {
    "type": "special",
    "options": {"match": "null", "result": {"text": "\u2013", "color": palette.BARE, "index": 99}},
}
"""A cell of a table without a value, where others of the line have one: it is at no level."""


def options(panel: Panel) -> Json:
    """Return the options of a panel of its kind."""
    return {
        "stat": _stat,
        "timeseries": _timeseries,
        "bargauge": _bargauge,
        "table": _table,
        "state-timeline": _timeline,
        "heatmap": _heatmap,
    }[panel.kind](panel)


def _stat(panel: Panel) -> Json:
    return {
        "reduceOptions": dict(_LAST),
        "orientation": "auto",
        "colorMode": "background_solid" if panel.mappings else "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "textMode": "value_and_name" if panel.named else "auto",
        **_sizes(panel),
        "wideLayout": True,
    }


def _sizes(panel: Panel) -> Json:
    labels = "{{" in panel.queries[0].legend
    if not labels and not panel.named:
        return {}
    return {"text": dict(_STATES if panel.mappings else _COUNTS)}


def _timeseries(panel: Panel) -> Json:
    # Of events, how many there were in all says more than the last bar.
    calcs, first = (["max", "sum"], "Total") if panel.sparse else (["lastNotNull", "max"], "Max")
    if panel.worst_is_least:
        calcs, first = ["lastNotNull", "min"], "Min"
    return {
        "legend": {
            "displayMode": "table",
            "placement": "right" if panel.width >= _WIDE else "bottom",
            "showLegend": True,
            "calcs": calcs,
            "sortBy": first,
            "sortDesc": not panel.worst_is_least,
        },
        "tooltip": dict(_TOOLTIP),
    }


def _bargauge(panel: Panel) -> Json:
    above = any(label in panel.queries[0].legend for label in _LONG)
    return {
        "reduceOptions": dict(_LAST),
        "orientation": "horizontal",
        "displayMode": "basic",
        # In the colour of the bar it could not be read on every ground.
        "valueMode": "text",
        "namePlacement": "top" if above else "left",
        "text": {"titleSize": _NAME, "valueSize": _NAME if above else _VALUE},
        "showUnfilled": True,
        "sizing": "auto",
        "minVizHeight": 16,
        "minVizWidth": 8,
        "maxVizHeight": 40,
    }


def _table(panel: Panel) -> Json:
    shown: Json = {"showHeader": True, "cellHeight": "sm", "sortBy": []}
    if panel.columns:
        # Of severities the critical one comes first: they are ranks (`states`).
        shown["sortBy"] = [
            *({"displayName": name, "desc": False} for name, _ in panel.words),
            {"displayName": panel.columns[0][0], "desc": not panel.worst_is_least},
        ]
    return shown


def _timeline(_panel: Panel) -> Json:
    return {
        "alignValue": "left",
        "mergeValues": True,
        "rowHeight": 0.8,
        "showValue": "auto",
        # The bars say it themselves.
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []},
        "tooltip": {"mode": "single", "sort": "none"},
    }


def _heatmap(_panel: Panel) -> Json:
    return {
        "calculate": False,
        "cellGap": 1,
        # Turned round on the dark background by Grafana itself: the most is farthest from it.
        "color": {
            "mode": "scheme",
            "scheme": "Blues",
            "scale": "exponential",
            "exponent": 0.5,
            "steps": 64,
            "fill": palette.NEUTRAL,
            "reverse": False,
        },
        "exemplars": {"color": palette.MAUVE},
        # Cells of nothing are no cells.
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto", "value": "a second"},
        "showValue": "never",
        "tooltip": {"mode": "single", "showColorScale": True, "yHistogram": False},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": "s"},
    }


def transformations(panel: Panel) -> list[Json]:
    """Return how the queries of a table become its columns."""
    names = {f"Value #{letter}": name for letter, (name, _) in lettered(panel.columns)}
    # Of a single query the column is called Value alone.
    if len(panel.queries) == 1 and panel.columns:
        names = {"Value": panel.columns[0][0]}
    hidden = ["Time", *([] if panel.columns else ["Value"])]
    return [
        {"id": "merge", "options": {}},
        {
            "id": "organize",
            "options": {
                "excludeByName": dict.fromkeys(hidden, True),
                "indexByName": _order(panel, names),
                "renameByName": names | dict(panel.headings),
            },
        },
    ]


def _order(panel: Panel, names: dict[str, str]) -> Json:
    """Return the place of each column by the name that it has before it is renamed."""
    before = {name: value for value, name in names.items()}
    return {before.get(name, name): place for place, name in enumerate(panel.order)}


def lettered(queries: Sequence[T]) -> list[tuple[str, T]]:
    """Return queries, or what is one for each, with their letters.

    Raises ValueError where there are more than letters: none is left out.
    """
    return list(zip(ascii_uppercase[: len(queries)], queries, strict=True))


def field_config(panel: Panel) -> Json:
    """Return unit, thresholds, bounds and colours of a panel."""
    least, greatest = panel.bounds
    defaults: Json = {
        "unit": panel.unit,
        "color": default_color(panel),
        "thresholds": _written(
            filled(panel.thresholds) if panel.kind == "table" else panel.thresholds
        ),
        "mappings": [],
    }
    if panel.mappings:
        defaults["mappings"] = [{"type": "value", "options": panel.mappings}]
    if panel.kind == "table" and len(panel.queries) > 1:
        defaults["mappings"] = [_NO_VALUE]
    if panel.logarithmic:
        defaults["mappings"] = [_at_most(least, panel.unit)]
    # Without it, Grafana begins bars at the smallest of them.
    if least is not None or panel.stacked or panel.kind == "bargauge":
        defaults["min"] = least or 0
    if greatest is not None:
        defaults["max"] = greatest
    if panel.decimals is not None:
        defaults["decimals"] = panel.decimals
    elif panel.kind == "timeseries" and panel.unit == "none":
        # Of what is counted there are no halves, on no axis either.
        defaults["decimals"] = 0
    if panel.empty:
        defaults["noValue"] = panel.empty
    if custom := _custom(panel):
        defaults["custom"] = custom
    return {"defaults": defaults, "overrides": _overrides(panel)}


def _at_most(value: float | None, unit: str) -> Json:
    """Return what a value reads as that smaller ones are drawn as, 0 too."""
    text = f"{1000 * (value or 0):g} ms" if unit == "s" else f"{value:g}"
    return {"type": "value", "options": {f"{value:g}": {"text": f"\u2264 {text}", "index": 0}}}


def _written(thresholds: Thresholds) -> Json:
    steps = [{"color": step.color, "value": step.value} for step in thresholds]
    return {"mode": "absolute", "steps": steps}


def _overrides(panel: Panel) -> list[Json]:
    """Return what is different in single series, or in single columns of a table."""
    units = [(name, "unit", unit) for name, unit in panel.columns if unit != panel.unit]
    widths = [(name, "custom.width", width) for name, width in panel.widths]
    digits = [(name, "decimals", number) for name, number in panel.digits]
    columns = [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": key, "value": value}],
        }
        for name, key, value in (*units, *widths, *digits)
    ]
    return [
        *columns,
        *_colored_cells(panel),
        *color_overrides(panel),
        *_without_zeros(panel),
        *_whole(panel),
    ]


def _colored_cells(panel: Panel) -> Iterator[Json]:
    """Yield what colours the columns of a table that the thresholds are of, and that have words."""
    ground = {"type": "color-background", "mode": "basic"}
    colored = {"id": "custom.cellOptions", "value": ground}
    if len(panel.thresholds) > 1:
        for name, unit in panel.columns:
            if unit == panel.unit:
                yield {"matcher": {"id": "byName", "options": name}, "properties": [colored]}
    if panel.linked:
        name, title, url = panel.linked
        text = {"id": "unit", "value": "string"}
        # In another tab: Grafana would look for a page of its own at an address without a host.
        links = {"id": "links", "value": [{"title": title, "url": url, "targetBlank": True}]}
        yield {"matcher": {"id": "byName", "options": name}, "properties": [text, links]}
    for name, thresholds in panel.levels:
        levels = {"id": "thresholds", "value": _written(filled(thresholds))}
        yield {"matcher": {"id": "byName", "options": name}, "properties": [levels, colored]}
    for name, words in panel.words:
        mappings = {"id": "mappings", "value": [{"type": "value", "options": words}]}
        yield {"matcher": {"id": "byName", "options": name}, "properties": [mappings, colored]}


def _has_sum(panel: Panel) -> bool:
    return any(query.legend == palette.WHOLE for query in panel.queries)


def _without_zeros(panel: Panel) -> list[Json]:
    """Return what leaves out series that were 0 all the time, of many or beside their sum.

    Few ones stay, in the legend too: at the foot of an empty panel, a line would have no name.
    """
    labels = {label for query in panel.queries for label in LABEL.findall(query.legend)}
    if panel.kind != "timeseries" or not (_has_sum(panel) or labels - {"instance"}):
        return []
    hidden = {"legend": True, "tooltip": True, "viz": True}
    return [
        {
            "matcher": {
                "id": "byValue",
                "options": {"reducer": "allIsZero", "op": "gte", "value": 0},
            },
            "properties": [{"id": "custom.hideFrom", "value": hidden}],
        }
    ]


def _whole(panel: Panel) -> list[Json]:
    """Return what leaves a sum in the legend, though it be 0; that of events is nowhere else."""
    if not _has_sum(panel):
        return []
    kept: Json = {"custom.hideFrom": {"legend": False, "tooltip": False, "viz": False}}
    if panel.sparse:
        kept["custom.fillOpacity"] = 0
        kept["custom.stacking"] = {"mode": "none", "group": "A"}
    return [
        {
            "matcher": {"id": "byName", "options": palette.WHOLE},
            "properties": [{"id": key, "value": value} for key, value in kept.items()],
        }
    ]


def _custom(panel: Panel) -> Json:
    if panel.kind == "timeseries":
        return _curves(panel)
    return {
        # Mixed with the ground, a fill would be too light for the text on it.
        "state-timeline": {"fillOpacity": 100, "lineWidth": 0},
        # Less than Grafana's own, which leaves columns out of sight where a panel is narrow.
        "table": {"minWidth": 75},
    }.get(panel.kind, {})


def _counts(panel: Panel) -> bool:
    return panel.stacked and panel.unit == "none" and not panel.sparse


def _curves(panel: Panel) -> Json:
    """Return how curves are drawn; thresholds are lines where there is more than one colour."""
    floor = _FLOORS.get(panel.unit)
    axis: Json = {} if floor is None or panel.bounds[1] is not None else {"axisSoftMax": floor}
    if panel.logarithmic:
        axis["scaleDistribution"] = {"type": "log", "log": 10}
    return {
        **axis,
        "drawStyle": "bars" if panel.sparse else "line",
        # Over a gap, what was measured last holds: a slope would say that it grew.
        # There is no half of what is counted either.
        "lineInterpolation": "stepAfter" if panel.bridged or _counts(panel) else "linear",
        # A line at the top of a stack would have the colour of the last series, though that is 0.
        "lineWidth": 0 if panel.stacked else 2,
        # Through bars, what marks a time would shine, and change their colours.
        "fillOpacity": 100 if panel.sparse else 75 if panel.stacked else 0,
        # A value between two gaps is no line: what has such is drawn as bars, or has a heatmap.
        "showPoints": "never",
        "spanNulls": _BRIDGED if panel.bridged else False,
        "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if len(panel.thresholds) > 1 else "off"},
    }
