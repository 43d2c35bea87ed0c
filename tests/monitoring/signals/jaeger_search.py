"""Searches of Jaeger's data source, and what Grafana asks Jaeger for them."""

import json
import re
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

_TRACE = {"refId", "query"}
_SEARCH = {"refId", "queryType", "service", "limit", "operation", "tags"}
_PAIR = re.compile(r'\s*([\w.]+)="((?:[^"\\]|\\.)*)"')


def tags_of(text: str) -> dict[str, str]:
    """Return the attributes of a search, written as logfmt. Raises: ValueError."""
    found, end = {}, 0
    while text[end:].strip():
        pair = _PAIR.match(text, end)
        if pair is None:
            raise ValueError(f'tags are name="value", not {text[end:]!r}')
        found[pair[1]] = re.sub(r"\\(.)", r"\1", pair[2])
        end = pair.end()
    return found


def trace_of(query: Mapping[str, Any]) -> str | None:
    """Return the trace that a query is for; None for a search. Raises: ValueError."""
    if "queryType" in query:
        return None
    if set(query) != _TRACE:
        raise ValueError(f"a query for a trace has {sorted(query)}")
    if not re.fullmatch(r"[0-9a-f]{32}", query["query"]):
        raise ValueError(f"{query['query']!r} is the id of no trace")
    return str(query["query"])


def parameters_of(query: Mapping[str, Any]) -> dict[str, str]:
    """Return what Grafana asks `/api/traces` for a search, but the time. Raises: ValueError."""
    if query.get("queryType") != "search" or not set(query) <= _SEARCH:
        raise ValueError(f"a search has {query.get('queryType')!r}, {sorted(query)}")
    if not query.get("service"):
        raise ValueError("Jaeger searches the traces of one service")
    asked = {name: str(query[name]) for name in _SEARCH - {"refId", "queryType", "tags"} & {*query}}
    if "tags" in query:
        asked["tags"] = json.dumps(tags_of(query["tags"]))
    return asked
