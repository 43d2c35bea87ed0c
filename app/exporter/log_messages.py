"""Lines of logs as messages of OTLP."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from app._version import __version__
from app.core.otlp_said import shown
from app.exporter.messages import of_process
from app.tracing.log_records import LogRecord

_SEVERITIES = {
    "debug": logs_pb2.SEVERITY_NUMBER_DEBUG,
    "info": logs_pb2.SEVERITY_NUMBER_INFO,
    "warning": logs_pb2.SEVERITY_NUMBER_WARN,
    "error": logs_pb2.SEVERITY_NUMBER_ERROR,
    "critical": logs_pb2.SEVERITY_NUMBER_FATAL,
}
# What the semantic conventions have a name for.
_NAMES = {"exception": "exception.stacktrace"}
_LARGEST = 2**63
_DEEPEST = 8


def request(lines: Iterable[LogRecord], resource: Mapping[str, str]) -> bytes:
    """Return the body of a request that sends these lines of the service's own log."""
    by_process: dict[str, dict[str, list[logs_pb2.LogRecord]]] = {}
    for line in lines:
        by_process.setdefault(line.process, {}).setdefault(line.logger, []).append(_record(line))
    message = ExportLogsServiceRequest(
        resource_logs=[
            logs_pb2.ResourceLogs(
                resource=Resource(attributes=attributes(of_process(process, resource))),
                scope_logs=[
                    logs_pb2.ScopeLogs(
                        scope=InstrumentationScope(name=logger, version=__version__),
                        log_records=found,
                    )
                    for logger, found in by_logger.items()
                ],
            )
            for process, by_logger in by_process.items()
        ]
    )
    return bytes(message.SerializeToString())


def _record(line: LogRecord) -> logs_pb2.LogRecord:
    return logs_pb2.LogRecord(
        time_unix_nano=line.at_ns,
        observed_time_unix_nano=line.at_ns,
        severity_number=_SEVERITIES.get(line.level, logs_pb2.SEVERITY_NUMBER_UNSPECIFIED),
        severity_text=line.level.upper(),
        body=AnyValue(string_value=text(line.event)),
        trace_id=_id(line.trace_id, 16),
        span_id=_id(line.span_id, 8),
        attributes=attributes({_NAMES.get(name, name): it for name, it in line.fields.items()}),
    )


def rejected(body: bytes) -> tuple[int, str]:
    """Return how many records an accepting answer says it has left out, and its message.

    An answer that is no such message says nothing of the kind.
    """
    try:
        told = ExportLogsServiceResponse.FromString(body).partial_success
    except Exception:  # of protobuf: DecodeError, whatever implementation it has
        return 0, ""
    return max(0, told.rejected_log_records), shown(told.error_message)


def _id(digits: str, length: int) -> bytes:
    """Return an id; nothing where it is none of this length, which receivers refuse."""
    try:
        id = bytes.fromhex(digits)
    except ValueError:
        return b""
    return id if len(id) == length else b""


def attributes(values: Mapping[str, Any]) -> list[KeyValue]:
    """Return attributes as messages have them, of whatever JSON can hold."""
    return [KeyValue(key=text(name), value=_value(value)) for name, value in values.items()]


def _value(value: Any, depth: int = 0) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int) and -_LARGEST <= value < _LARGEST:
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if value is None:
        return AnyValue()
    if isinstance(value, Mapping) and depth < _DEEPEST:
        pairs = [
            KeyValue(key=text(str(name)), value=_value(inner, depth + 1))
            for name, inner in value.items()
        ]
        return AnyValue(kvlist_value=KeyValueList(values=pairs))
    if isinstance(value, Sequence) and not isinstance(value, str) and depth < _DEEPEST:
        return AnyValue(array_value=ArrayValue(values=[_value(it, depth + 1) for it in value]))
    return AnyValue(string_value=text(str(value)))


def text(value: str) -> str:
    """Return the text without what is no Unicode, which no message can hold."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()
