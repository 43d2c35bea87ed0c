"""A receiver of OTLP that keeps what it is sent, and misbehaves as it is told."""

import gzip
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from prometheus_client.utils import floatToGoString


@dataclass(frozen=True)
class Received:
    """A span as it arrived; times in nanoseconds."""

    trace_id: str
    span_id: str
    parent_id: str
    state: str
    name: str
    kind: int
    begin: int
    end: int
    attributes: dict[str, Any] = field(hash=False)
    resource: dict[str, Any] = field(hash=False)
    is_error: bool
    links: tuple[tuple[str, str], ...] = ()
    """Trace and span of each."""


@dataclass(frozen=True)
class Behaviour:
    """What becomes of a request: its status, headers, how long it takes, what is rejected of it."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0
    rejected: int = 0
    loses_answer: bool = False
    says: bytes = b""
    """The body of an answer that is no success."""


@dataclass(frozen=True)
class Point:
    """The latest value of a series; times in nanoseconds."""

    value: float
    start: int
    time: int
    temporality: int


@dataclass(frozen=True)
class LogLine:
    """A log record as it arrived; its time in nanoseconds."""

    at_ns: int
    body: str
    severity: int
    level: str
    trace_id: str
    span_id: str
    scope: str
    attributes: dict[str, Any] = field(hash=False)
    resource: dict[str, Any] = field(hash=False)


class OtlpSink:
    """Listens on a port of its own until it is closed."""

    def __init__(self, port: int = 0) -> None:
        self.spans: list[Received] = []
        self.points: dict[tuple[str, frozenset[tuple[str, str]]], Point] = {}
        self.history: list[tuple[str, frozenset[tuple[str, str]], Point]] = []
        """Every point that came."""
        self.records: list[LogLine] = []
        self.log_requests: list[dict[str, str]] = []
        self.log_bodies: list[bytes] = []
        self.requests: list[dict[str, str]] = []
        """Of traces and metrics, as `bodies` are of traces."""
        self.bodies: list[bytes] = []
        self.wire: list[bytes] = []
        """All that came, of any signal and whatever became of it, byte by byte."""
        self._behaviour: Callable[[], Behaviour] = Behaviour
        self._logs_behaviour: Callable[[], Behaviour] = Behaviour
        self._lock = threading.Lock()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink.wire.append(body)
                sink._take(self, body)

            def log_message(self, *_arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def behave(self, *behaviours: Behaviour) -> None:
        """Do these in turn with the next requests of traces or metrics, then as usual."""
        self._behaviour = self._in_turn(behaviours)

    def behave_with_logs(self, *behaviours: Behaviour) -> None:
        """Do these in turn with the next requests of logs, then as usual."""
        self._logs_behaviour = self._in_turn(behaviours)

    def _in_turn(self, behaviours: Sequence[Behaviour]) -> Callable[[], Behaviour]:
        left = list(behaviours)

        def next_one() -> Behaviour:
            with self._lock:
                return left.pop(0) if left else Behaviour()

        return next_one

    def _take(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        is_logs = handler.path.endswith("/v1/logs")
        (self.log_requests if is_logs else self.requests).append(
            {"path": handler.path, **{k.lower(): v for k, v in handler.headers.items()}}
        )
        behaviour = self._logs_behaviour() if is_logs else self._behaviour()
        time.sleep(behaviour.seconds)
        answer = ExportTraceServiceResponse()
        if behaviour.status == 200 and is_logs:
            plain = gzip.decompress(body) if handler.headers.get("Content-Encoding") else body
            with self._lock:
                self.log_bodies.append(plain)
                self.records += log_lines(plain)
            # The field has the same number in the answer of any signal.
            answer.partial_success.rejected_spans = behaviour.rejected
        elif behaviour.status == 200 and handler.path.endswith("/v1/metrics"):
            plain = gzip.decompress(body) if handler.headers.get("Content-Encoding") else body
            with self._lock:
                found = _points(plain)
                self.points.update(found)
                self.history += [(*series, point) for series, point in found.items()]
            if behaviour.rejected:
                # The field has the same number in the answer of either signal.
                answer.partial_success.rejected_spans = behaviour.rejected
                answer.partial_success.error_message = "too old"
        elif behaviour.status == 200:
            plain = gzip.decompress(body) if handler.headers.get("Content-Encoding") else body
            self.bodies.append(plain)
            with self._lock:
                self.spans += _spans(plain)
            if behaviour.rejected:
                answer.partial_success.CopyFrom(
                    ExportTracePartialSuccess(
                        rejected_spans=behaviour.rejected, error_message="too old"
                    )
                )
        if behaviour.loses_answer:
            handler.close_connection = True
            handler.connection.close()
            return
        content = answer.SerializeToString() if behaviour.status == 200 else behaviour.says
        handler.send_response(behaviour.status)
        for name, value in behaviour.headers:
            handler.send_header(name, value)
        handler.send_header("Content-Type", "application/x-protobuf")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        with suppress(OSError):  # who asked may be dead
            handler.wfile.write(content)

    def trace(self, trace_id: str) -> Sequence[Received]:
        """Return the spans of a trace, in the order of their beginnings."""
        with self._lock:
            found = [span for span in self.spans if span.trace_id == trace_id]
        return sorted(found, key=lambda span: span.begin)

    def added(self, name: str, labels: frozenset[tuple[str, str]]) -> tuple[float, float]:
        """Return what the deltas of a series add up to: each end time once, and all that came."""
        with self._lock:
            found = [point for *series, point in self.history if series == [name, labels]]
        by_end = {point.time: point.value for point in found}
        return sum(by_end.values()), sum(point.value for point in found)

    def sums(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Return what the deltas of each series add up to, each end time once."""
        by_end: defaultdict[Any, dict[int, float]] = defaultdict(dict)
        with self._lock:
            for *series, point in self.history:
                by_end[tuple(series)][point.time] = point.value
        return {series: sum(values.values()) for series, values in by_end.items()}

    def double_points(self) -> int:
        """Return how many points came that had come before, by series and end time.

        A histogram is one point, whatever number of samples is made of it.
        """
        with self._lock:
            came = [
                (name, labels, point.time)
                for name, labels, point in self.history
                if not name.endswith(("_bucket", "_sum"))
            ]
        return len(came) - len(set(came))

    def doubles(self) -> int:
        """Return how many spans came more than once, each time."""
        with self._lock:
            seen = Counter((span.trace_id, span.span_id) for span in self.spans)
        return sum(number - 1 for number in seen.values())

    def close(self) -> None:
        """Refuse connections from now on."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()


def _spans(body: bytes) -> list[Received]:
    found = []
    for of_process in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = _values(of_process.resource.attributes)
        for scope in of_process.scope_spans:
            found += [
                Received(
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.trace_state,
                    span.name,
                    span.kind,
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    _values(span.attributes),
                    resource,
                    span.status.code == 2,
                    tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                )
                for span in scope.spans
            ]
    return found


def log_lines(body: bytes) -> list[LogLine]:
    """Return the log records of a request."""
    found = []
    for of_process in ExportLogsServiceRequest.FromString(body).resource_logs:
        resource = _values(of_process.resource.attributes)
        for scope in of_process.scope_logs:
            found += [
                LogLine(
                    record.time_unix_nano,
                    record.body.string_value,
                    record.severity_number,
                    record.severity_text,
                    record.trace_id.hex(),
                    record.span_id.hex(),
                    scope.scope.name,
                    _values(record.attributes),
                    resource,
                )
                for record in scope.log_records
            ]
    return found


def _points(body: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], Point]:
    """Return the latest of each series, under the names that a scrape has."""
    found = {}

    def put(name: str, point: Any, value: float, temporality: int, **more: str) -> None:
        labels = frozenset({**_values(point.attributes), **more}.items())
        found[name, labels] = Point(
            value, point.start_time_unix_nano, point.time_unix_nano, temporality
        )

    for of_process in ExportMetricsServiceRequest.FromString(body).resource_metrics:
        for metric in of_process.scope_metrics[0].metrics:
            kind = metric.WhichOneof("data")
            data = getattr(metric, kind)
            temporality = getattr(data, "aggregation_temporality", 0)
            for point in data.data_points:
                if kind == "histogram":
                    below = 0
                    bounds = [*point.explicit_bounds, float("inf")]
                    for bound, count in zip(bounds, point.bucket_counts, strict=True):
                        below += count
                        le = floatToGoString(bound)
                        put(f"{metric.name}_bucket", point, below, temporality, le=le)
                    put(f"{metric.name}_sum", point, point.sum, temporality)
                    put(f"{metric.name}_count", point, point.count, temporality)
                elif kind == "sum":
                    put(metric.name, point, point.as_double, temporality)
                else:
                    put(metric.name, point, point.as_double, temporality)
    return found


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: _plain(one.value) for one in attributes}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return _values(value.kvlist_value.values)
    return None if kind is None else getattr(value, kind)
