"""Links from panels into traces and log lines, for Grafanas that have both (the profile `signals`).

A panel's own link shows what is of its subject in the time shown. The link of a series shows what
is of that series: its labels stand in the address. Its value does not: a quantile lies between the
bounds of a bucket, and may be more than any request took; dots on the curve are single ones.

A variable is encoded where it stands (`:percentencode`): it lies in a text of JSON that lies in an
address.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from monitoring.grafana.generator.panels import Leads, Panel, Traces

Json = dict[str, Any]

TRACES_UID, LOGS_UID = "vibebox-jaeger", "vibebox-loki"
"""uids of the data sources, as provisioned."""
SERVICE = "${service:percentencode}"
STREAM = f'{{service_name="{SERVICE}"}}'
MOST_TRACES = 100
_VARIABLE = re.compile(r"\$\{[^}]+\}")
_SHOWN = {"from": "${__from}", "to": "${__to}"}


def label(name: str) -> str:
    """Return what stands for a label of the series that was clicked."""
    return f"${{__field.labels.{name}:percentencode}}"


def column(name: str) -> str:
    """Return what stands for a column of the row that was clicked."""
    return f"${{__data.fields.{name}:percentencode}}"


def explore(uid: str, query: Mapping[str, Any], shown: Mapping[str, str]) -> str:
    """Return the address of Explore with a query; its variables stand there as they are."""
    pane = {"datasource": uid, "queries": [{"refId": "A", **query}], "range": dict(shown)}
    text = json.dumps({"signals": pane}, separators=(",", ":"))
    encoded, end = "", 0
    for found in _VARIABLE.finditer(text):
        encoded += quote(text[end : found.start()], safe="") + found[0]
        end = found.end()
    return f"/explore?schemaVersion=1&panes={encoded}{quote(text[end:], safe='')}"


def traces_query(traces: Traces) -> Json:
    """Return the search of Jaeger's data source for these traces."""
    query = {"queryType": "search", "service": SERVICE, "limit": MOST_TRACES}
    if traces.operation:
        query["operation"] = traces.operation
    if traces.tags:
        # logfmt; a value may hold spaces and what else a route has.
        query["tags"] = " ".join(f'{name}="{value}"' for name, value in traces.tags.items())
    return query


def logs_query(filters: str) -> Json:
    """Return the query for lines of the service's log that pass the filters."""
    return {"expr": f"{STREAM} {filters}".rstrip(), "queryType": "range"}


def leads(panel: Panel) -> bool:
    """Tell whether a panel has any links into traces or logs."""
    return panel.leads is not None or panel.series_leads is not None


def panel_links(panel: Panel) -> Iterator[tuple[str, str, str]]:
    """Yield title, tooltip and address of a panel's links into traces and logs."""
    return _links(panel.leads) if panel.leads else iter(())


def series_links(panel: Panel) -> list[Json]:
    """Return the links of a panel's series, as Grafana writes them."""
    if panel.series_leads is None:
        return []
    return [{"title": title, "url": url} for title, _, url in _links(panel.series_leads)]


def _links(leads: Leads) -> Iterator[tuple[str, str, str]]:
    if traces := leads.traces:
        yield "Traces", traces.meaning, explore(TRACES_UID, traces_query(traces), _SHOWN)
    if lines := leads.logs:
        yield "Log lines", lines.meaning, explore(LOGS_UID, logs_query(lines.filters), _SHOWN)
