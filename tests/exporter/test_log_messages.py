"""Log records hold whatever a line can, and nothing that a message cannot."""

import json
import struct
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)

from app.core.log_receiver import ShippedLine
from app.exporter.container_logs import request as container_request
from app.exporter.log_messages import rejected, request
from app.tracing.log_records import decode
from tests.backends.otlp_sink import LogLine, log_lines

RESOURCE = {"service.name": "vibebox", "host.name": "here"}
LINE: dict[str, Any] = {
    "time": "2025-01-01T00:00:00.000+00:00",
    "level": "error",
    "logger": "app.x",
    "event": "failed",
    "worker": "web-1",
    "pid": 7,
}


def sent(**fields: Any) -> LogLine:
    record = struct.pack("<Q", 1_735_689_600_000_000_001) + json.dumps({**LINE, **fields}).encode()
    (found,) = log_lines(request([decode(record)], RESOURCE))
    return found


def test_a_line_becomes_a_record() -> None:
    found = sent(trace_id="a" * 32, span_id="b" * 16, exception="Traceback", count=1, ratio=0.5)
    assert (found.at_ns, found.body, found.severity) == (1_735_689_600_000_000_001, "failed", 17)
    assert (found.level, found.scope) == ("ERROR", "app.x")
    assert (found.trace_id, found.span_id) == ("a" * 32, "b" * 16)
    assert found.attributes == {"exception.stacktrace": "Traceback", "count": 1, "ratio": 0.5}
    assert found.resource["vibebox.worker"] == "web-1"
    assert found.resource["process.pid"] == 7


def test_whatever_json_holds_is_sent() -> None:
    found = sent(
        flag=True,
        none=None,
        nested={"a": [1, {"b": "c"}]},
        huge=2**70,
        odd="x\ud800y",
        event="\udcff",
    )
    assert found.attributes["flag"] is True
    assert found.attributes["none"] is None
    assert found.attributes["nested"] == {"a": [1, {"b": "c"}]}
    assert found.attributes["huge"] == str(2**70)
    assert (found.attributes["odd"], found.body) == ("x?y", "?")
    # What is no id of OTLP would have the whole request refused.
    assert (sent(trace_id="0af7").trace_id, sent(span_id="request").span_id) == ("", "")


@pytest.mark.parametrize(
    "record", [b"", b"12345678", b"12345678[]", b"12345678{}", struct.pack("<Q", 1) + b'{"pid": 1}']
)
def test_what_is_no_line_is_refused(record: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        decode(record)


def test_what_is_left_out_is_read_from_the_answer() -> None:
    told = ExportLogsPartialSuccess(rejected_log_records=3, error_message="too old")
    answer = ExportLogsServiceResponse(partial_success=told).SerializeToString()
    assert rejected(answer) == (3, "too old")
    assert rejected(b"\xff no message") == (0, "")


def test_the_same_lines_make_the_same_bytes() -> None:
    lines = [
        ShippedLine("c" * 64, "e", team, stream, number, number, f"line {number}")
        for number, (team, stream) in enumerate([("a", "stdout"), (None, "stderr")] * 5, 1)
    ]
    body = container_request(lines, {"service.name": "vibebox-environment"})
    assert body == container_request(list(lines), {"service.name": "vibebox-environment"})
    found = log_lines(body)
    assert sorted(it.attributes["seq"] for it in found) == list(range(1, 11))
    assert {it.resource["log.iostream"] for it in found} == {"stdout", "stderr"}
    assert {it.resource.get("vibebox.team") for it in found} == {"a", None}
