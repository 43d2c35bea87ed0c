"""The trace of what this thread does now, and W3C Trace Context at the borders of the process.

While a request or a task runs, one small tuple is noted for each call that it makes of the database
or of Docker; what becomes of them is decided when it has ended (`app.tracing`). Where tracing is
off there is no `current` trace, and nothing is noted.

https://www.w3.org/TR/trace-context/
"""

import re
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from time import perf_counter

from app.core.random_ids import RandomIds

MOST_SPANS = 256
"""Spans that a trace has of one process; more are counted."""
_LONGEST_STATE = 512
# Version 00 has these four fields, a later one may have more; ff and ids of zeros are invalid.
_TRACEPARENT = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})"
    r"-(?P<span>(?!0{16})[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
_STATE_MEMBER = re.compile(r"[a-z0-9][a-z0-9_*/@-]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,256}")
_SPAN_DIGITS = 16
_ids = RandomIds()


@dataclass(frozen=True, slots=True)
class Parent:
    """What a caller says of the trace that it continues in us."""

    trace_id: str
    span_id: str
    sampled: bool
    state: str = ""


class SpanKind(StrEnum):
    """What a span that was noted is of."""

    STATEMENT = "statement"
    DOCKER = "docker"


Noted = tuple[SpanKind, str, float, float, str, str, str]
"""Kind, span id (empty: it gets one when it is kept), start by time.perf_counter(), seconds, what
was done, to what, and the type of the error, empty where there was none."""


class Trace:
    """One process's part of a trace: its own span, and what was noted below it."""

    __slots__ = ("dropped", "kept", "parent", "sampled_by_known", "span_id", "spans", "trace_id")

    def __init__(self, trace_id: str, parent: Parent | None) -> None:
        self.trace_id = trace_id
        self.span_id = new_span_id()
        self.parent = parent
        self.spans: list[Noted] = []
        self.dropped = 0
        self.sampled_by_known = False
        """Whether the caller asks for it to be kept, and is somebody whom we know."""
        self.kept = False

    def note(
        self, kind: SpanKind, started: float, what: str, to: str, error: str, span_id: str = ""
    ) -> None:
        """Note a call that has just ended."""
        if len(self.spans) < MOST_SPANS:
            self.spans.append((kind, span_id, started, perf_counter() - started, what, to, error))
        else:
            self.dropped += 1

    def traceparent(self, span_id: str) -> str:
        """Return the header for a call, as a child of the span with this id.

        The flag says what is known now: it is decided at the end whether the trace is kept.
        """
        sampled = self.parent is not None and self.parent.sampled
        return f"00-{self.trace_id}-{span_id}-{'01' if sampled else '00'}"


current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def new_trace_id() -> str:
    """Return 32 hexadecimal digits, not all of them 0."""
    return _ids.new()


def new_span_id() -> str:
    """Return 16 hexadecimal digits, not all of them 0."""
    return _ids.new()[:_SPAN_DIGITS]


def parse(traceparent: str, tracestate: str = "") -> Parent | None:
    """Return what the two headers say; None where `traceparent` is invalid.

    An invalid `tracestate` is left out, as the standard asks.
    """
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None or (match["more"] and match["version"] == "00"):
        return None
    sampled = bool(int(match["flags"], 16) & 1)
    return Parent(match["trace"], match["span"], sampled, _state(tracestate))


def _state(text: str) -> str:
    members = [member.strip() for member in text.split(",")]
    kept = [member for member in members if member]
    valid = len(text) <= _LONGEST_STATE and all(map(_STATE_MEMBER.fullmatch, kept))
    return ",".join(kept) if valid else ""
