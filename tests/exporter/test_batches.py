"""What becomes of records: spans in bodies of a bounded size, and none that is counted nowhere."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.core import signals
from app.core.settings import Settings
from app.core.trace_context import SpanKind, Trace
from app.exporter.batches import Batches
from app.exporter.exporters import SpanExporter
from app.exporter.messages import MOST_BYTES, MOST_CHARACTERS, bodies
from app.tracing.records import Root, Span, decode, encode
from app.tracing.rings import RingWriter
from tests.backends.otlp_sink import OtlpSink

RESOURCE = {"service.name": "vibebox", "host.name": "here"}


def span(number: int, **attributes: Any) -> Span:
    id = f"{number:016x}"
    return Span("a" * 32, id, "", "k=v", "server", "GET /", 1, 2, attributes, "", 0, "web-0:1")


def ids(body: bytes) -> list[str]:
    (of_process,) = ExportTraceServiceRequest.FromString(body).resource_spans
    return [one.span_id.hex() for one in of_process.scope_spans[0].spans]


def test_spans_are_split_into_bodies_of_a_bounded_size() -> None:
    spans = [span(n, **{f"a{i}": "x" * 3000 for i in range(5)}) for n in range(1, 200)]
    found = list(bodies(spans, RESOURCE))
    assert len(found) > 5
    assert max(len(body) for body, _ in found) <= MOST_BYTES
    assert [id for body, _ in found for id in ids(body)] == [one.span_id for one in spans]
    assert [len(ids(body)) for body, _ in found] == [number for _, number in found]


def test_a_long_value_is_cut_and_nothing_makes_nothing() -> None:
    ((body, _),) = bodies([span(1, path="ä" * 1_000_000)], RESOURCE)
    (of_process,) = ExportTraceServiceRequest.FromString(body).resource_spans
    (attribute,) = of_process.scope_spans[0].spans[0].attributes
    assert attribute.value.string_value == "ä" * MOST_CHARACTERS
    assert list(bodies([], RESOURCE)) == []


@pytest.fixture
def ended() -> Iterator[list[tuple[str, int]]]:
    found: list[tuple[str, int]] = []

    def note(_sender: Any, *, result: str, number: int) -> None:
        if number:
            found.append((result, number))

    with signals.spans_ended.connected_to(note):
        yield found


def record(**changed: object) -> bytes:
    """Return a record of a request with one statement, changed as another release may have it."""
    trace = Trace("a" * 32, None)
    trace.note(SpanKind.STATEMENT, perf_counter(), "select", "x", "")
    written, _ = encode(trace, Root("GET /", True, perf_counter(), {}, ""), "sqlite")
    return json.dumps({**json.loads(written), **changed}).encode()


def test_a_record_that_is_no_trace_is_counted(
    tmp_path: Path, sink: OtlpSink, ended: list[tuple[str, int]]
) -> None:
    """One of another release, with three spans; one that is nothing; the good one goes through."""
    settings = Settings(traces_dir=str(tmp_path))
    writer = RingWriter(tmp_path, 16 * 65536)
    for content in (record(c=[["of another", "shape"]] * 2), b"nothing", record()):
        assert writer.write(content)
    stopping = threading.Event()
    exporter = SpanExporter(settings, f"{sink.url}/v1/traces", stopping)
    stopping.set()
    exporter.run(stopping)
    exporter.close()
    assert sorted(ended) == [("exported", 2), ("failed", 4)]
    assert [one.name for one in sink.spans] == ["GET /", "SELECT x"]
    with_none_left = Batches(tmp_path, decode, len)
    assert list(with_none_left.take()) == []
    with_none_left.close()
    writer.close()
