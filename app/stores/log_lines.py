"""The store of the service's own log lines: Loki, or VictoriaLogs.

What is put into a query is an id of `ID` and a name of the settings, both quoted: nothing of it can
be read as part of the query.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from app.core.unreadable import UNREADABLE
from app.stores.http import Store, loads

SETTING = "VIBEBOX_LOG_STORE_URL"
ID = r"^[A-Za-z0-9._-]{1,128}$"
"""Ids of requests and traces: what the service itself accepts in X-Request-ID."""
_ID = re.compile(ID.removeprefix("^").removesuffix("$"))
_NS = 1_000_000_000
# What a store adds of its own, and what stands in a member of its own.
_LEFT_OUT = frozenset(
    {"_msg", "_time", "_stream", "_stream_id", "level", "severity_text", "severity", "event"}
)
_LONGEST = 8192


@dataclass(frozen=True)
class StoredLine:
    """A line of the service's log."""

    at: datetime
    level: str
    event: str
    fields: Mapping[str, str] = field(hash=False)


class LogStore(Protocol):
    """Asks for lines; raises StoreUnavailableError."""

    def lines(
        self, ids: Sequence[str], since: datetime, until: datetime, limit: int
    ) -> list[StoredLine]:
        """Return the first lines of these requests or traces, in the order of time.

        Raises: ValueError for what is no id.
        """

    def latest(self, since: datetime, until: datetime, limit: int) -> list[StoredLine]:
        """Return the last lines of the service, in the order of time."""


class VictoriaLogs:
    """The lines in a VictoriaLogs, asked in LogsQL. `service` is our name there."""

    def __init__(self, store: Store, service: str) -> None:
        self._store = store
        self._service = service

    def lines(
        self, ids: Sequence[str], since: datetime, until: datetime, limit: int
    ) -> list[StoredLine]:
        """See LogStore."""
        wanted = " or ".join(
            f"{name}:={_quoted(_checked(id))}" for id in ids for name in ("trace_id", "request_id")
        )
        return self._asked(f"({wanted}) | sort by (_time) limit {limit:d}", since, until)

    def latest(self, since: datetime, until: datetime, limit: int) -> list[StoredLine]:
        """See LogStore."""
        return self._asked(f"| sort by (_time desc) limit {limit:d}", since, until)

    def _asked(self, rest: str, since: datetime, until: datetime) -> list[StoredLine]:
        body = self._store.get(
            "/select/logsql/query",
            {
                "query": f'"service.name":={_quoted(self._service)} {rest}',
                "start": since.isoformat(),
                "end": until.isoformat(),
            },
        )
        try:
            found = [loads(line) for line in body.splitlines() if line]
            return _in_order([_line(_moment(one["_time"]), one["_msg"], one) for one in found])
        except UNREADABLE:
            raise self._store.strange() from None


class Loki:
    """The lines in a Loki, asked in LogQL; ids are structured metadata there."""

    def __init__(self, store: Store, service: str) -> None:
        self._store = store
        self._service = service

    def lines(
        self, ids: Sequence[str], since: datetime, until: datetime, limit: int
    ) -> list[StoredLine]:
        """See LogStore."""
        wanted = " or ".join(
            f"{name}={_quoted(_checked(id))}" for id in ids for name in ("trace_id", "request_id")
        )
        return self._asked(f" | {wanted}", since, until, limit, "forward")[:limit]

    def latest(self, since: datetime, until: datetime, limit: int) -> list[StoredLine]:
        """See LogStore."""
        return self._asked("", since, until, limit, "backward")[-limit:]

    def _asked(
        self, rest: str, since: datetime, until: datetime, limit: int, direction: str
    ) -> list[StoredLine]:
        answer = self._store.json(
            "/loki/api/v1/query_range",
            {
                "query": f"{{service_name={_quoted(self._service)}}}{rest}",
                "start": str(_nanoseconds(since)),
                "end": str(_nanoseconds(until)),
                "limit": str(limit),
                "direction": direction,
            },
        )
        try:
            found = [
                _line(_of_nanoseconds(at), text, {**stream["stream"], **_metadata(more)})
                for stream in answer["data"]["result"]
                for at, text, *more in stream["values"]
            ]
            return _in_order(found)
        except (*UNREADABLE, OSError):  # which a moment in the far future is
            raise self._store.strange() from None


def _checked(id: str) -> str:
    if not _ID.fullmatch(id):
        raise ValueError("no id of a request or trace")
    return id


def _quoted(text: str) -> str:
    """Return a string of LogQL and LogsQL alike (both as Go, of which JSON's are a part)."""
    return json.dumps(text)


def _in_order(lines: list[StoredLine]) -> list[StoredLine]:
    return sorted(lines, key=lambda line: line.at)


def _metadata(more: list[Any]) -> Mapping[str, Any]:
    """Return what a value has behind its text: `structuredMetadata`, where Loki keeps it apart."""
    found = more[0] if more and isinstance(more[0], dict) else {}
    inner = found.get("structuredMetadata")
    return inner if isinstance(inner, dict) else found


def _line(at: datetime, text: Any, fields: Mapping[str, Any]) -> StoredLine:
    """Return the line; one that came as the JSON of stdout is taken apart."""
    known = {str(name): str(value)[:_LONGEST] for name, value in fields.items()}
    event = str(text)
    if event.startswith("{"):
        try:
            written = loads(event.encode())
        except (ValueError, RecursionError):
            written = {}
        known |= {str(name): str(value)[:_LONGEST] for name, value in written.items()}
        event = str(written.get("event", event))
    level = known.get("level") or known.get("severity_text") or known.get("severity") or ""
    rest = {name: value for name, value in sorted(known.items()) if name not in _LEFT_OUT}
    return StoredLine(at, level.lower(), event[:_LONGEST], rest)


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _nanoseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000) * 1000


def _of_nanoseconds(text: str) -> datetime:
    return datetime.fromtimestamp(int(text) / _NS, UTC)
