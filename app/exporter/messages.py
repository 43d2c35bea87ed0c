"""Spans as messages of OTLP; with `metric_messages` and `log_messages` all that knows
OpenTelemetry."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from app._version import __version__
from app.core.otlp_said import shown
from app.tracing.records import Span, Value

_KINDS = {
    "server": trace_pb2.Span.SPAN_KIND_SERVER,
    "client": trace_pb2.Span.SPAN_KIND_CLIENT,
    "internal": trace_pb2.Span.SPAN_KIND_INTERNAL,
}
_SAMPLED = 1
T = TypeVar("T")
MOST_BYTES = 400_000
"""Of a body, before compression: the smallest limit that a receiver of ours documents is 500 KB."""
MOST_CHARACTERS = 4095
"""Of an attribute's value: what is longer is cut, for receivers that else refuse the record."""


def bodies(spans: Sequence[Span], resource: Mapping[str, str]) -> Iterator[tuple[bytes, int]]:
    """Yield bodies that send these spans; see `in_bodies`."""
    return in_bodies(spans, lambda some: request(some, resource))


def in_bodies(
    items: Sequence[T], made: Callable[[Sequence[T]], bytes]
) -> Iterator[tuple[bytes, int]]:
    """Yield bodies of `MOST_BYTES` at most, as `made`, of all items, each with how many it has.

    A single item may make a larger one: let the receiver judge it.
    """
    if not items:
        return
    body = made(items)
    if len(body) <= MOST_BYTES or len(items) < 2:
        yield body, len(items)
        return
    half = len(items) // 2
    yield from in_bodies(items[:half], made)
    yield from in_bodies(items[half:], made)


def request(spans: Iterable[Span], resource: Mapping[str, str]) -> bytes:
    """Return the body of a request that sends these spans."""
    by_process: dict[str, list[trace_pb2.Span]] = {}
    for span in spans:
        by_process.setdefault(span.process, []).append(_span(span))
    scope = InstrumentationScope(name="vibebox", version=__version__)
    message = ExportTraceServiceRequest(
        resource_spans=[
            trace_pb2.ResourceSpans(
                resource=Resource(attributes=attributes(of_process(process, resource))),
                scope_spans=[trace_pb2.ScopeSpans(scope=scope, spans=found)],
            )
            for process, found in by_process.items()
        ]
    )
    return bytes(message.SerializeToString())


def rejected(body: bytes) -> tuple[int, str]:
    """Return how many spans an accepting answer says it has left out, and its message.

    An answer that is no such message says nothing of the kind.
    """
    try:
        told = ExportTraceServiceResponse.FromString(body).partial_success
    except Exception:  # of protobuf: DecodeError, whatever implementation it has
        return 0, ""
    return max(0, told.rejected_spans), shown(told.error_message)


def of_process(process: str, resource: Mapping[str, str]) -> dict[str, Value]:
    """Return the attributes of one process of the installation."""
    place, _, pid = process.rpartition(":")
    return {
        "service.instance.id": f"{resource['host.name']}:{process}",
        **resource,
        "process.pid": int(pid),
        "vibebox.worker": place,
    }


def _span(span: Span) -> trace_pb2.Span:
    said = dict(span.attributes)
    if span.error:
        said.setdefault("error.type", span.error)
    if span.dropped:
        said["vibebox.spans_dropped"] = span.dropped
    code = trace_pb2.Status.STATUS_CODE_ERROR if span.error else trace_pb2.Status.STATUS_CODE_UNSET
    return trace_pb2.Span(
        trace_id=bytes.fromhex(span.trace_id),
        span_id=bytes.fromhex(span.span_id),
        parent_span_id=bytes.fromhex(span.parent_id),
        trace_state=span.state,
        flags=_SAMPLED,
        name=span.name[:MOST_CHARACTERS],
        kind=_KINDS[span.kind],
        start_time_unix_nano=span.begin,
        end_time_unix_nano=span.end,
        attributes=attributes(said),
        status=trace_pb2.Status(code=code),
        links=_links(span),
    )


def _links(span: Span) -> list[trace_pb2.Span.Link]:
    if span.link is None:
        return []
    trace_id, span_id = map(bytes.fromhex, span.link)
    return [trace_pb2.Span.Link(trace_id=trace_id, span_id=span_id, flags=_SAMPLED)]


def attributes(values: Mapping[str, Any]) -> list[KeyValue]:
    """Return attributes as messages have them."""
    return [KeyValue(key=name, value=_value(_cut(value))) for name, value in values.items()]


def _cut(value: Value) -> Value:
    return value[:MOST_CHARACTERS] if isinstance(value, str) else value


def _value(value: Value) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(string_value=value)
