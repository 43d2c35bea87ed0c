"""A process's part of a trace as bytes in a ring file: JSON, small keys, one record a part.

Times are Unix nanoseconds. They are worked out here, for what is kept only: while it runs, a part
knows the monotonic clock alone.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter, time_ns
from typing import Any

from app.core.logging import redact, worker
from app.core.trace_context import Noted, SpanKind, Trace, new_span_id

Value = str | int | float | bool
_PATH_SHOWN = 200
PATH_READ = 4 * _PATH_SHOWN
"""Bytes that are read of a path: a character has four at most."""


@dataclass(frozen=True, slots=True)
class Root:
    """What the part itself was: a request, a task."""

    name: str
    is_server: bool
    started: float
    """By time.perf_counter()."""
    attributes: Mapping[str, Value]
    error: str
    """The type of what went wrong, empty where nothing did."""
    link: tuple[str, str] | None = None
    """Trace and span out of which it goes on, where it is not below that."""


@dataclass(frozen=True, slots=True)
class Span:
    """One span, as the exporter reads it."""

    trace_id: str
    span_id: str
    parent_id: str
    state: str
    kind: str
    """`server`, `internal` or `client`."""
    name: str
    begin: int
    end: int
    attributes: dict[str, Value]
    error: str
    dropped: int
    process: str
    """Which process recorded it: its place, and its pid."""
    link: tuple[str, str] | None = None


def encode(trace: Trace, root: Root, database: str) -> tuple[bytes, int]:
    """Return the record, and how many spans it has. `database` is the name of the system."""
    now, clock = time_ns(), perf_counter()

    def moment(at: float) -> int:
        return now - round((clock - at) * 1e9)

    children = [_child(noted, moment, database) for noted in trace.spans]
    parent = trace.parent
    record: dict[str, Any] = {
        "t": trace.trace_id,
        "s": trace.span_id,
        "p": parent.span_id if parent else "",
        "st": parent.state if parent else "",
        "k": "server" if root.is_server else "internal",
        "n": root.name,
        "b": moment(root.started),
        "e": now,
        "a": root.attributes,
        "x": root.error,
        "d": trace.dropped,
        "w": f"{worker()}:{os.getpid()}",
        "c": children,
    }
    if root.link is not None:
        record["l"] = root.link
    return json.dumps(record, separators=(",", ":")).encode(), 1 + len(children)


def _child(noted: Noted, moment: Any, database: str) -> list[Any]:
    kind, span_id, started, seconds, what, to, error = noted
    attributes: dict[str, Value]
    if kind is SpanKind.STATEMENT:
        name = f"{what.upper()} {to}"
        attributes = {
            "db.system.name": database,
            "db.operation.name": what.upper(),
            "db.collection.name": to,
            "db.query.summary": name,
        }
    elif kind is SpanKind.TASK:
        name, attributes = what, {}
    else:
        name = f"docker {what}"
        attributes = {"vibebox.docker.operation": what}
    begin = moment(started)
    end = begin + round(seconds * 1e9)
    found = [span_id or new_span_id(), name, begin, end, attributes, error]
    return [*found, "internal"] if kind is SpanKind.TASK else found


def decode(record: bytes) -> Iterator[Span]:
    """Yield the spans of a record. Raises: ValueError, KeyError for what is no record."""
    found = json.loads(record)
    shared = found["t"], found["st"], found["w"]
    trace_id, state, process = shared
    yield Span(
        trace_id,
        found["s"],
        found["p"],
        state,
        found["k"],
        found["n"],
        found["b"],
        found["e"],
        found["a"],
        found["x"],
        found["d"],
        process,
        _link(found.get("l")),
    )
    for span_id, name, begin, end, attributes, error, *role in found["c"]:
        yield Span(
            trace_id,
            span_id,
            found["s"],
            state,
            role[0] if role else "client",
            name,
            begin,
            end,
            attributes,
            error,
            0,
            process,
        )


def _link(found: Any) -> tuple[str, str] | None:
    return None if found is None else (str(found[0]), str(found[1]))


def shown_path(path: str) -> str:
    """Return a path without secrets, cut, as text: WSGI hands its bytes over as Latin-1 (PEP 3333).

    Of what is behind `PATH_READ` an @ may be, by which a password in an address is told.
    """
    piece = path[:PATH_READ].encode("latin-1", "replace").decode("utf-8", "replace")
    return redact(f"{piece}@" if len(path) >= PATH_READ else piece)[:_PATH_SHOWN]
