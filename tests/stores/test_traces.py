"""Traces as the real Jaeger has them."""

import os
import time

import pytest
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from app.explaining import traced
from app.explaining.kinds import Culprit, Kind
from app.stores.http import Store
from app.stores.traces import SETTING, TraceStore
from tests.backends.jaeger import Jaeger
from tests.support.stand_in import StandIn

ROUTE = "/only/of/this/test/<environment_id>"
ENVIRONMENT = "0f8c2a52-7a4e-4a55-9d0e-3a6f0f6f2f10"


def attributes(**values: str) -> list[KeyValue]:
    return [
        KeyValue(key=name.replace("__", "."), value=AnyValue(string_value=value))
        for name, value in values.items()
    ]


def send(jaeger: Jaeger) -> str:
    """Send a request of 2 s that failed since its statement, of 1.5 s, did; return its id."""
    trace, parent = os.urandom(16), os.urandom(8)
    now = time.time_ns()
    root = trace_pb2.Span(
        trace_id=trace,
        span_id=parent,
        name=f"GET {ROUTE}",
        kind=trace_pb2.Span.SPAN_KIND_SERVER,
        start_time_unix_nano=now - 2_000_000_000,
        end_time_unix_nano=now,
        attributes=attributes(
            http__route=ROUTE,
            url__path=f"/api/v1/environments/{ENVIRONMENT}",
            vibebox__request_id="of-the-caller",
            vibebox__kept_because="failed",
            error__type="503",
        ),
        status=trace_pb2.Status(code=trace_pb2.Status.STATUS_CODE_ERROR),
    )
    statement = trace_pb2.Span(
        trace_id=trace,
        span_id=os.urandom(8),
        parent_span_id=parent,
        name="SELECT environments",
        kind=trace_pb2.Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=now - 1_600_000_000,
        end_time_unix_nano=now - 100_000_000,
        attributes=attributes(
            db__query__summary="SELECT environments", error__type="OperationalError"
        ),
        status=trace_pb2.Status(code=trace_pb2.Status.STATUS_CODE_ERROR),
    )
    message = ExportTraceServiceRequest(
        resource_spans=[
            trace_pb2.ResourceSpans(
                resource=Resource(attributes=attributes(service__name="vibebox")),
                scope_spans=[trace_pb2.ScopeSpans(spans=[root, statement])],
            )
        ]
    )
    answer = requests.post(
        f"{jaeger.otlp}/v1/traces",
        data=message.SerializeToString(),
        headers={"Content-Type": "application/x-protobuf"},
        timeout=10,
    )
    assert answer.status_code == 200
    return trace.hex()


@pytest.mark.integration
def test_trace_says_what_failed_and_what_took_longest(jaeger: Jaeger) -> None:
    id = send(jaeger)
    jaeger.wait_for_trace(id, spans=2)
    store = TraceStore(Store(SETTING, jaeger.url), "vibebox")

    found = store.trace(id)

    assert found is not None and found.id == id
    assert (found.root.name, found.root.kind, found.root.error) == (f"GET {ROUTE}", "server", "503")
    assert found.root.seconds == pytest.approx(2)
    statement = Culprit(Kind.STATEMENT, "SELECT environments")
    assert traced.failed_call(found) == statement
    dominant = traced.dominant(found)
    assert dominant is not None and dominant[0] == statement
    assert dominant[1] == pytest.approx(0.75)
    assert traced.slowest(found).own_seconds == pytest.approx(1.5)
    assert traced.cost(found, found.root).own_seconds == pytest.approx(0.5)
    assert traced.request_of(found) == "of-the-caller"
    assert traced.environment_of(found) == ENVIRONMENT
    now = time.time()
    (searched,) = store.search({"http.route": ROUTE}, now - 60, now + 60, 5)
    assert searched.id == id
    assert store.search({"http.route": "/elsewhere"}, now - 60, now + 60, 5) == []
    assert store.trace("0" * 31 + "1") is None


def test_spans_of_others_are_not_read(peer: StandIn) -> None:
    """Whoever may write into the store can put one into any trace."""
    processes = {"p1": {"serviceName": "vibebox"}, "p2": {"serviceName": "vibebox-environment"}}
    spans = [
        {"spanID": id, "operationName": id, "startTime": 1, "duration": 1, "processID": process}
        for id, process in (("ours", "p1"), ("theirs", "p2"), ("nobody's", "p3"))
    ]
    told = {"traceID": "a" * 32, "spans": spans, "processes": processes}
    foreign = {**told, "spans": spans[1:]}
    peer.answers["/api/traces"] = lambda _: {"data": [told, foreign]}

    (found,) = TraceStore(Store(SETTING, peer.url), "vibebox").search({}, 0, 1, 5)
    assert [span.id for span in found.spans] == ["ours"]


@pytest.mark.parametrize("id", ["", "../services", "A" * 32, "0" * 33])
def test_what_is_no_trace_id_is_not_asked_for(peer: StandIn, id: str) -> None:
    assert TraceStore(Store(SETTING, peer.url), "vibebox").trace(id) is None
    assert peer.asked == []
