"""Records the spans of requests and tasks, and hands what is kept to the exporter.

A request costs its trace and two decisions while nothing is kept; OpenTelemetry is not imported
here at all. Nothing of it can fail a request: a ring that cannot be had, or is full, is counted.
"""

import logging
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from time import monotonic, perf_counter

from app.core import signals
from app.core.context import NOTHING, Context, context
from app.core.named_in_path import environment_of
from app.core.trace_context import (
    Parent,
    Said,
    Trace,
    error_type,
    follows,
    new_trace_id,
)
from app.tracing.records import Root, Value, encode, shown_path
from app.tracing.rings import RingWriter
from app.tracing.rules import FLOOR_SECONDS, Reason, Rules
from prefork_metrics.exchange import Exchange
from prefork_metrics.standard.requests import METHODS

NAMED_SECONDS = 15.0
"""One trace in so many seconds is kept because an exemplar is about to name it, of each process:
so that a quiet service has exemplars too, and does not keep everything."""
_TRY_AGAIN_SECONDS = 30.0
_LOOK_SECONDS = 5.0
_log = logging.getLogger(__name__)


class Rings:
    """The ring of this process, taken at the first record: after the fork."""

    def __init__(self, directory: Path, total: int) -> None:
        self._directory = directory
        self._total = total
        self._lock = Lock()
        self._writer: RingWriter | None = None
        self._next_try = self._next_look = 0.0

    def write(self, record: bytes, spans: int) -> bool:
        """Write a record, and count its spans as recorded or lost."""
        writer = self._writer
        if writer is None or monotonic() >= self._next_look:
            writer = self._open()
        try:
            written = writer is not None and writer.write(record)
        except (ValueError, OSError, struct.error):  # it has just been closed, or is damaged
            written = False
        signals.emit(signals.spans_ended, result="recorded" if written else "dropped", number=spans)
        return written

    def _open(self) -> RingWriter | None:
        with self._lock:
            self._next_look = monotonic() + _LOOK_SECONDS
            if self._writer is not None and self._writer.is_gone:
                _log.warning("traces are lost", extra={"why": "the directory was deleted"})
                self._writer.close()
                self._writer = None
            if self._writer is None and monotonic() >= self._next_try:
                try:
                    self._writer = RingWriter(self._directory, self._total)
                except OSError as error:
                    self._next_try = monotonic() + _TRY_AGAIN_SECONDS
                    _log.warning("traces are lost", extra={"why": str(error)})
            return self._writer

    def close(self) -> None:
        """Give the file back; what is in it stays for the exporter."""
        with self._lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
                self._next_try = float("inf")


class Recorder:
    """Follows requests (as a subscriber of exchanges) and tasks, and keeps what the rules say."""

    def __init__(self, rules: Rules, rings: Rings, database: str, *, trusts_peers: bool) -> None:
        """database: the name of the system; trusts_peers: the sampled flag of any request is that
        of a proxy of ours."""
        self._is_share = rules.is_share
        self._reason = rules.reason
        self._rings = rings
        self._database = database
        self._trusts_peers = trusts_peers
        self._next_named = 0.0
        self.on_kept: list[Callable[[Trace], None]] = []
        """Called with each trace that is on its way to the exporter."""

    def start(self, exchange: Exchange) -> None:
        """Begin the trace of a request, or its part of the caller's; after its id is known."""
        environ = exchange.environ
        if environ is None:
            return
        parent = exchange.parent
        if isinstance(parent, Parent):
            id = parent.trace_id
        else:
            parent = None
            # Where the id of the request is ours, it is that of the trace too.
            id = new_trace_id() if environ.get("HTTP_X_REQUEST_ID") else exchange.request_id
        trace = exchange.trace = Trace(id, parent, self._is_share)
        if parent is not None:
            trace.sampled_by_known = self._trusts_peers and parent.sampled
        exchange.trace_id = id
        here = context.get()
        if here is NOTHING:
            context.set(Context(exchange.request_id, trace=trace))
        else:
            here.trace = trace

    def finish(self, exchange: Exchange) -> None:
        """Decide what becomes of the trace of a request that is over."""
        trace = exchange.trace
        if not isinstance(trace, Trace):
            return
        if context.get().trace is trace:  # who began the context has not ended it
            context.set(NOTHING)
        # Not what its client took: who sends slowly would have his traces kept.
        seconds: float | None = exchange.seconds
        if exchange.seconds > FLOOR_SECONDS and exchange.lasting:
            seconds = None
        failed = exchange.status >= 500 or exchange.unhandled
        reason = self._reason(trace, exchange.route, seconds, failed)
        if reason is not None:
            self._keep_request(exchange, trace, reason)

    def keep_named(self, exchange: Exchange) -> bool:
        """Tell whether an exemplar may name the trace of this request, which has ended.

        One that was not kept may be now, from time to time.
        """
        trace = exchange.trace
        if not isinstance(trace, Trace):
            return False
        if not trace.is_tried and (now := monotonic()) >= self._next_named:
            self._next_named = now + NAMED_SECONDS
            self._keep_request(exchange, trace, Reason.EXEMPLAR)
        return trace.kept

    def _keep_request(self, exchange: Exchange, trace: Trace, reason: Reason) -> None:
        status = exchange.status
        # Whatever a client made up is no name of ours (semantic conventions, HTTP).
        method = exchange.method if exchange.method in METHODS else "_OTHER"
        attributes: dict[str, Value] = {
            "http.request.method": method,
            "http.route": exchange.route,
            "url.path": shown_path(exchange.path),
            "url.scheme": "http",
            "http.response.status_code": status,
            "vibebox.request_id": exchange.request_id,
            "vibebox.kept_because": reason,
        }
        if (environment := environment_of(exchange.route, exchange.path)) is not None:
            attributes["vibebox.environment.id"] = environment
        error = ""
        if exchange.unhandled:
            error = "unhandled_exception"
        elif status >= 500:
            error = str(status)
        if error:
            attributes["error.type"] = error
        root = Root(
            f"{method if method in METHODS else 'HTTP'} {exchange.route}",
            True,
            exchange.started - exchange.queued,
            attributes,
            error,
        )
        self._keep(trace, root)

    def _keep(self, trace: Trace, root: Root) -> None:
        trace.is_tried = True
        trace.kept = self._rings.write(*encode(trace, root, self._database))
        if trace.kept:
            for tell in self.on_kept:
                tell(trace)

    @contextmanager
    def task(self, name: str, parent: Parent | None, said: Said) -> Iterator[Trace]:
        """Record what is done within as one span.

        It is below the request that asked for it, or a trace of its own, with a link to the request
        whose thread goes on (see `trace_context.follows`).
        """
        before = follows.get() if parent is None else None
        trace = Trace(parent.trace_id if parent else new_trace_id(), parent, self._is_share)
        # Who wrote the row was of ours, and knows the caller; the flag says what was decided there.
        trace.sampled_by_known = parent.sampled if parent else before is not None and before.kept
        token = context.set(context.get().within(trace))
        started, error = perf_counter(), ""
        try:
            yield trace
        except BaseException as failure:
            error = error_type(failure)
            raise
        finally:
            context.reset(token)
            seconds = perf_counter() - started
            reason = self._reason(trace, name, seconds, bool(error))
            if reason is not None:
                attributes: dict[str, Value] = {**said, "vibebox.kept_because": reason}
                if error:
                    attributes["error.type"] = error
                link = (before.trace_id, before.span_id) if before is not None else None
                self._keep(trace, Root(name, False, started, attributes, error, link))

    def close(self) -> None:
        """Give the ring back."""
        self._rings.close()
