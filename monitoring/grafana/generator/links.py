"""Links: from each dashboard to the others, and from each panel one level down."""

import json
from typing import Any
from urllib.parse import quote

from monitoring.grafana.generator.drawing import lettered
from monitoring.grafana.generator.panels import Board, Panel
from monitoring.grafana.generator.promql import CHOICES, in_an_address

Json = dict[str, Any]


def board_link(board: Board) -> Json:
    """Return the link to another dashboard, at the top of the page."""
    return _link(board.title.removeprefix("VibeBox - "), board.description, f"/d/{board.uid}", True)


def panel_link(panel: Panel) -> Json:
    """Return the link of a panel to the dashboard with its details, or to Explore."""
    if panel.down:
        # `includeVars` and `keepTime` work in links of dashboards only; here the address says it.
        url = f"/d/{panel.down}?${{__url_time_range}}&${{__all_variables}}"
        return _link("Details", "The dashboard one level down", url, False)
    return _link("Explore", "The queries of this panel in Explore", _explore(panel), False)


RUNBOOK = "/api/datasources/proxy/uid/${datasource}/user/${__value.raw}.md"
"""The runbook of an alert in a cell: Prometheus shows them, and Grafana's documented proxy passes
every GET on to a data source that is one. Prometheus fills in the address that is in the alerts
itself, and tells it to no dashboard."""


def explore_link(title: str, tooltip: str, url: str) -> Json:
    """Return a link of a panel to Explore, whose address says everything."""
    return _link(title, tooltip, url, False)


def _link(title: str, tooltip: str, url: str, keep: bool) -> Json:
    """Return a link; `keep`: it takes the choices and the time shown along."""
    return {
        "type": "link",
        "title": title,
        "tooltip": tooltip,
        "url": url,
        "icon": "dashboard",
        "tags": [],
        "asDropdown": False,
        "includeVars": keep,
        "keepTime": keep,
        "targetBlank": False,
    }


def _explore(panel: Panel) -> str:
    """Return the address of Explore with the queries of a panel, its choices and the time shown."""
    queries = [
        {"refId": letter, "expr": in_an_address(query.expression)}
        for letter, query in lettered(panel.queries)
    ]
    pane = {
        "datasource": "${datasource}",
        "queries": queries,
        "range": {"from": "${__from}", "to": "${__to}"},
    }
    text = quote(json.dumps({"down": pane}, separators=(",", ":")), safe="")
    for name in ("datasource", "__from", "__to", *(f"{choice}:pipe" for choice in CHOICES)):
        # Grafana fills in what it finds as it is written.
        text = text.replace(quote(f"${{{name}}}", safe=""), f"${{{name}}}")
    return f"/explore?schemaVersion=1&panes={text}"
