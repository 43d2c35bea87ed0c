"""The trace of what this thread does now, and W3C Trace Context at the borders of the process.

While a request or a task runs, one small tuple is noted for each call that it makes of the database
or of Docker; what becomes of them is decided when it has ended (`app.tracing`). Where tracing is
off there is no `current` trace, and nothing is noted.

https://www.w3.org/TR/trace-context/
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from time import perf_counter

from app.core.context import context
from app.core.errors import VibeBoxError
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
_ids = RandomIds()
_span_ids = RandomIds(8)


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
    TASK = "task"


Noted = tuple[SpanKind, str, float, float, str, str, str]
"""Kind, span id (empty: it gets one when it is kept), start by time.perf_counter(), seconds, what
was done, to what, and the type of the error, empty where there was none."""


class Trace:
    """One process's part of a trace: its own span, and what was noted below it."""

    __slots__ = (
        "calling",
        "dropped",
        "is_ours",
        "is_share",
        "is_tried",
        "kept",
        "parent",
        "sampled_by_known",
        "span_id",
        "spans",
        "trace_id",
    )

    def __init__(
        self,
        trace_id: str,
        parent: Parent | None,
        is_share: "Callable[[Trace], bool]" = lambda _trace: False,
    ) -> None:
        """is_share: tells whether the trace is of those that are kept whatever happens."""
        self.trace_id = trace_id
        # It has to be unique within its trace: half of a random id that nothing else has is.
        self.span_id = trace_id[16:] if parent is None else _span_ids.new()
        self.parent = parent
        self.is_share = is_share
        self.calling = ""
        """The span of the call that is being made now."""
        self.spans: list[Noted] = []
        self.dropped = 0
        self.is_ours = parent is None
        """Whether the id is of this installation: nobody else has chosen it."""
        self.is_tried = False
        """Whether it was to be kept; `kept` says whether there was room."""
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

    def traceparent(self) -> str:
        """Return the header for whoever continues the trace below what is done now.

        Its flag says what is known now; whether the trace is kept is decided at its end.
        """
        sampled = self.sampled_by_known or self.is_share(self)
        return f"00-{self.trace_id}-{self.calling or self.span_id}-{'01' if sampled else '00'}"


def current() -> Trace | None:
    """Return the trace of what this thread does now; None where it is not traced."""
    return context.get().trace


def traceparent() -> str | None:
    """Return the header of the current trace; None where there is none."""
    trace = current()
    return None if trace is None else trace.traceparent()


follows: ContextVar[Trace | None] = ContextVar("follows", default=None)
"""The trace of a request that has ended, out of which this thread goes on: a WebSocket's."""

Said = Mapping[str, str | int | float | bool]
"""Attributes of a span."""
TaskRecorder = Callable[[str, Parent | None, Said], AbstractContextManager[object]]
"""Returns what records all that is done within it as a task of this name."""
_record: list[TaskRecorder] = []


def record_tasks(recorder: TaskRecorder | None) -> None:
    """Have this process's tasks recorded from now on; None: no longer."""
    _record[:] = [] if recorder is None else [recorder]


def task(
    name: str, parent: Parent | None = None, said: Said | None = None
) -> AbstractContextManager[object]:
    """Return what makes all within one task: part of the current trace, or one of its own.

    name: of closed values; parent: who asked for it, elsewhere: then it is part of that trace;
    said: what a task of its own has as attributes.
    """
    trace = current()
    if trace is not None and parent is None:
        return _below(trace, name)
    return _record[0](name, parent, said or {}) if _record else nullcontext()


def asked_by(traceparent: str | None) -> Parent | None:
    """Return what a row says of the request that asked for it; None where it says nothing."""
    return parse(traceparent) if traceparent else None


@contextmanager
def _below(trace: Trace, name: str) -> Iterator[None]:
    started, error = perf_counter(), ""
    try:
        yield
    except BaseException as failure:
        error = error_type(failure)
        raise
    finally:
        trace.note(SpanKind.TASK, started, name, "", error)


def error_type(failure: BaseException) -> str:
    """Return what a span says of a failure; empty for one that is the caller's, and no fault."""
    if isinstance(failure, VibeBoxError) and failure.is_callers():
        return ""
    return type(failure).__name__


def new_trace_id() -> str:
    """Return 32 hexadecimal digits, not all of them 0."""
    return _ids.new()


def new_span_id() -> str:
    """Return 16 hexadecimal digits, not all of them 0."""
    return _span_ids.new()


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
