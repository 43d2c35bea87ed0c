"""Overwrites what a program says of its origin; with the exporter all that knows OpenTelemetry.

Loaded with the first request that needs it: where users' telemetry is off it never is.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

MOST_RESOURCES = 64
"""Of one request: each is given attributes that are larger than an empty one."""
MOST_ATTRIBUTES = 1024
"""Of all resources of one request; SDKs send a dozen each."""
_REQUESTS: Mapping[str, tuple[Any, str]] = {
    "traces": (ExportTraceServiceRequest, "resource_spans"),
    "metrics": (ExportMetricsServiceRequest, "resource_metrics"),
    "logs": (ExportLogsServiceRequest, "resource_logs"),
}
_SERVICE = "service.name"
_SAID = "vibebox.said.service"
"""What the program calls itself: of several in one environment."""
_LONGEST_SAID = 200
_ENVIRONMENT = "environment.id"


def rewrite(signal: str, body: bytes, attributes: Mapping[str, str]) -> bytes:
    """Return the body with these attributes in place of what it says of itself.

    Raises: ValueError, in a sentence, for what is no such message.
    """
    kind, field = _REQUESTS[signal]
    try:
        message = kind.FromString(body)
    except Exception as error:  # of protobuf: DecodeError, whatever implementation it has
        raise ValueError(f"The body is no {kind.__name__} (protobuf).") from error
    # What we do not know we cannot overwrite: an older or newer receiver may read it.
    message.DiscardUnknownFields()
    parts = getattr(message, field)
    if len(parts) > MOST_RESOURCES:
        raise ValueError(f"Send at most {MOST_RESOURCES} resources in one request.")
    # Counted before any is touched: a kilobyte of gzip holds half a million.
    if sum(len(part.resource.attributes) for part in parts) > MOST_ATTRIBUTES:
        raise ValueError(f"Send at most {MOST_ATTRIBUTES} attributes of resources in one request.")
    for part in parts:
        _overwrite(part.resource, attributes)
    if signal == "logs":
        for record in _records(parts):
            _leave_out(record)
    return bytes(message.SerializeToString())


def _overwrite(resource: Any, attributes: Mapping[str, str]) -> None:
    found = resource.attributes
    said = next((one.value.string_value for one in found if one.key == _SERVICE), "")
    kept = [one for one in found if not _is_ours(one.key)]
    true = {**attributes, **({_SAID: said[:_LONGEST_SAID]} if said else {})}
    ours = [KeyValue(key=name, value=AnyValue(string_value=value)) for name, value in true.items()]
    new = type(resource)(attributes=[*kept, *ours])
    resource.CopyFrom(new)


def _records(parts: Any) -> Iterator[Any]:
    return (one for part in parts for scope in part.scope_logs for one in scope.log_records)


def _leave_out(record: Any) -> None:
    """Leave out the environment that a record names: lines are looked for by it, of any service."""
    kept = [one for one in record.attributes if _folded(one.key) != _ENVIRONMENT]
    if len(kept) < len(record.attributes):
        new = type(record)(attributes=kept)
        record.ClearField("attributes")
        record.MergeFrom(new)


def _folded(name: str) -> str:
    return name.strip().lower().replace("_", ".").replace("-", ".")


def _is_ours(name: str) -> bool:
    """Tell whether an attribute says who it is; however it is written, receivers fold names."""
    folded = _folded(name)
    return folded.startswith(("vibebox.", "service.name")) or folded in ("vibebox", _ENVIRONMENT)
