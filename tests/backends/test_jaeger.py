"""The real Jaeger, sent one trace."""

import json
import secrets
import time

import pytest
import requests

from tests.backends.jaeger import Jaeger, tags

pytestmark = pytest.mark.integration


def send(jaeger: Jaeger, trace_id: str) -> None:
    """Send two spans of a trace."""
    now, root = time.time_ns(), secrets.token_hex(8)
    spans = [
        {
            "traceId": trace_id,
            "spanId": id,
            "parentSpanId": parent,
            "name": name,
            "kind": 2,
            "startTimeUnixNano": str(now + offset),
            "endTimeUnixNano": str(now + offset + 1_000_000),
            "attributes": [{"key": "vibebox.request_id", "value": {"stringValue": trace_id}}],
        }
        for id, parent, name, offset in (
            (secrets.token_hex(8), root, "SELECT accounts", 100_000),
            (root, "", "GET /test", 0),
        )
    ]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "of a test"}}]}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}
    with requests.Session() as session:
        session.trust_env = False
        headers = {"Content-Type": "application/json"}
        url = f"{jaeger.otlp}/v1/traces"
        session.post(url, json.dumps(body), headers=headers, timeout=10).raise_for_status()


def test_keeps_traces_finds_them_and_forgets_when_it_is_stopped(jaeger: Jaeger) -> None:
    id = secrets.token_hex(16)
    assert jaeger.trace(id) == []
    send(jaeger, id)
    root, child = jaeger.wait_for_trace(id, 2)
    assert [root["operationName"], child["operationName"]] == ["GET /test", "SELECT accounts"]
    assert [one["spanID"] for one in child["references"]] == [root["spanID"]]
    assert tags(root)["resource.service.name"] == "of a test"
    assert "of a test" in jaeger.services()
    ((found, _),) = jaeger.search("of a test", {"vibebox.request_id": id})
    assert found["spanID"] == root["spanID"]
    assert jaeger.search("of a test", {"vibebox.request_id": "another"}) == []
    jaeger.stop()
    jaeger.heal()
    assert jaeger.trace(id) == []
