"""How panels are drawn: the options of each kind, with what they share said once."""

from typing import Any

from monitoring.grafana.generator.panels import Panel

Json = dict[str, Any]

_LAST = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_TOOLTIP = {"mode": "multi", "sort": "desc"}


def options(panel: Panel) -> Json:
    """Return the options of a panel of its kind."""
    return {
        "stat": _stat,
        "timeseries": _timeseries,
        "piechart": _piechart,
        "bargauge": _bargauge,
        "table": _table,
    }[panel.kind](panel)


def _stat(panel: Panel) -> Json:
    return {
        "reduceOptions": dict(_LAST),
        "orientation": "auto",
        "colorMode": "background" if panel.mappings else "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "textMode": "auto",
        "wideLayout": True,
    }


def _timeseries(_panel: Panel) -> Json:
    return {
        "legend": {
            "displayMode": "list",
            "placement": "bottom",
            "showLegend": True,
            # Values beside the names would leave no room for the curves; the tooltip has them.
            "calcs": [],
        },
        "tooltip": dict(_TOOLTIP),
    }


def _piechart(_panel: Panel) -> Json:
    return {
        "reduceOptions": dict(_LAST),
        "pieType": "donut",
        "displayLabels": ["percent"],
        "legend": {
            "displayMode": "table",
            "placement": "right",
            "showLegend": True,
            "calcs": [],
            "values": ["value", "percent"],
        },
        "tooltip": {"mode": "single", "sort": "none"},
    }


def _bargauge(_panel: Panel) -> Json:
    return {
        "reduceOptions": dict(_LAST),
        "orientation": "horizontal",
        "displayMode": "gradient",
        "valueMode": "color",
        "namePlacement": "auto",
        "showUnfilled": True,
        "sizing": "auto",
        "minVizHeight": 16,
        "minVizWidth": 8,
        "maxVizHeight": 300,
    }


def _table(panel: Panel) -> Json:
    shown: Json = {"showHeader": True, "cellHeight": "sm", "sortBy": []}
    if panel.columns:
        shown["sortBy"] = [{"displayName": panel.columns[0][0], "desc": True}]
    return shown


def transformations(panel: Panel) -> list[Json]:
    """Return how the queries of a table become its columns."""
    names = {f"Value #{letter}": name for letter, (name, _) in _lettered(panel)}
    # Of a single query the column is called Value alone.
    hidden = ["Time", *([] if panel.columns else ["Value"])]
    return [
        {"id": "merge", "options": {}},
        {
            "id": "organize",
            "options": {
                "excludeByName": dict.fromkeys(hidden, True),
                "indexByName": {},
                "renameByName": names,
            },
        },
    ]


def _lettered(panel: Panel) -> list[tuple[str, tuple[str, str]]]:
    return list(zip("ABCDEFGH", panel.columns, strict=False))


def field_config(panel: Panel) -> Json:
    """Return unit, thresholds, bounds and colours of a panel."""
    least, greatest = panel.bounds
    defaults: Json = {
        "unit": panel.unit,
        "color": {"mode": _color_mode(panel)},
        "thresholds": {
            "mode": "absolute",
            "steps": [{"color": color, "value": value} for color, value in panel.thresholds],
        },
        "mappings": [],
    }
    if panel.mappings:
        defaults["mappings"] = [{"type": "value", "options": panel.mappings}]
    if least is not None or panel.stacked:
        defaults["min"] = least or 0
    if greatest is not None:
        defaults["max"] = greatest
    if panel.decimals is not None:
        defaults["decimals"] = panel.decimals
    if panel.empty:
        defaults["noValue"] = panel.empty
    if panel.kind == "timeseries":
        defaults["custom"] = _curves(panel)
    return {"defaults": defaults, "overrides": _overrides(panel)}


def _overrides(panel: Panel) -> list[Json]:
    """Return what is different in single columns of a table."""
    units = [(name, "unit", unit) for name, unit in panel.columns if unit != panel.unit]
    widths = [(name, "custom.width", width) for name, width in panel.widths]
    return [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": key, "value": value}],
        }
        for name, key, value in (*units, *widths)
    ]


def _color_mode(panel: Panel) -> str:
    """Return how values get their colour: by threshold, except where colours tell series apart."""
    return "palette-classic" if panel.kind in ("timeseries", "piechart") else "thresholds"


def _curves(panel: Panel) -> Json:
    """Return how curves are drawn; thresholds are lines where there is more than one colour."""
    return {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 30 if panel.stacked else 8,
        # Automatic: a value between two gaps would be no line, and not seen at all.
        "showPoints": "auto",
        "pointSize": 4,
        "spanNulls": False,
        "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if len(panel.thresholds) > 1 else "off"},
    }
