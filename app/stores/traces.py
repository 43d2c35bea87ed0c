"""The store of traces, by the query interface of Jaeger (which others speak too)."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from app.core.unreadable import UNREADABLE
from app.stores.http import Store

SETTING = "VIBEBOX_TRACE_STORE_URL"
MOST_SPANS = 2000
"""Spans of a trace that are looked at."""
_ID = re.compile(r"[0-9a-f]{16}([0-9a-f]{16})?")
_ERRORS = ("ERROR", "error", "true", "True")


@dataclass(frozen=True)
class Span:
    """A span; `began` in seconds since 1970. `kind` is server, client, internal or empty."""

    id: str
    parent_id: str | None
    name: str
    kind: str
    began: float
    seconds: float
    attributes: Mapping[str, str] = field(hash=False)
    error: str = ""
    """What went wrong, empty where nothing did."""


@dataclass(frozen=True)
class StoredTrace:
    """A trace as far as the store has it, its spans in the order of their beginnings."""

    id: str
    spans: tuple[Span, ...]

    @property
    def root(self) -> Span:
        """The span below which the others are: of the service's first one, where there is one."""
        ids = {span.id for span in self.spans}
        roots = [span for span in self.spans if span.parent_id not in ids]
        ours = [span for span in roots if "vibebox.kept_because" in span.attributes]
        return (ours or roots or list(self.spans))[0]

    def below(self, span: Span) -> list[Span]:
        """Return the spans that it called."""
        return [one for one in self.spans if one.parent_id == span.id]


class TraceStore:
    """Asks it; all raise StoreUnavailableError. `service` is our name there: its spans are read."""

    def __init__(self, store: Store, service: str) -> None:
        self._store = store
        self._service = service

    def trace(self, trace_id: str) -> StoredTrace | None:
        """Return a trace; None where the store has none of that id."""
        if not _ID.fullmatch(trace_id):
            return None
        found = self._read(f"/api/traces/{trace_id}", {})
        return found[0] if found else None

    def search(
        self, tags: Mapping[str, str], since: float, until: float, limit: int
    ) -> list[StoredTrace]:
        """Return traces of ours that have such a span, of this time (seconds since 1970)."""
        return self._read(
            "/api/traces",
            {
                "service": self._service,
                "tags": json.dumps(dict(tags)),
                "start": str(int(since * 1e6)),
                "end": str(int(until * 1e6)),
                "limit": str(limit),
            },
        )

    def _read(self, path: str, parameters: Mapping[str, str]) -> list[StoredTrace]:
        answer = self._store.json(path, parameters, missing={"data": []})
        try:
            found = [self._trace(one) for one in answer["data"] or ()]
        except (*UNREADABLE, OSError):  # which a moment in the far future is
            raise self._store.strange() from None
        return [one for one in found if one.spans]

    def _trace(self, told: Any) -> StoredTrace:
        """Return a trace with our own spans: others write into the store too, into any trace."""
        ours = {id for id, one in told["processes"].items() if one["serviceName"] == self._service}
        spans = [one for one in told["spans"] or () if one["processID"] in ours][:MOST_SPANS]
        read = sorted(map(_span, spans), key=lambda span: span.began)
        return StoredTrace(str(told["traceID"]), tuple(read))


def moment(seconds: float) -> datetime:
    """Return the moment of so many seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def _span(told: Any) -> Span:
    attributes = {str(tag["key"]): str(tag["value"]) for tag in told.get("tags", ())}
    parents = [one["spanID"] for one in told.get("references", ()) if one["refType"] == "CHILD_OF"]
    began, seconds = float(told["startTime"]) / 1e6, float(told["duration"]) / 1e6
    moment(began + seconds)  # what is no moment is refused here
    return Span(
        str(told["spanID"]),
        str(parents[0]) if parents else None,
        str(told["operationName"]),
        attributes.get("span.kind", ""),
        began,
        seconds,
        attributes,
        _error(attributes),
    )


def _error(attributes: Mapping[str, str]) -> str:
    status = attributes.get("otel.status_code"), attributes.get("error")
    if not any(one in _ERRORS for one in status):
        return ""
    return attributes.get("error.type") or attributes.get("otel.status_description") or "error"
