"""Configurations of the profile `signals`, loaded by the real program: what comes in comes through.

Jaeger's program is a collector too, so that it loads both; VictoriaLogs stands in Loki's place.
"""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.backends import http
from tests.backends.collector import Collector
from tests.backends.jaeger import Jaeger
from tests.backends.programs import free_port, wait_until
from tests.backends.victoria_logs import VictoriaLogs
from tests.conftest import require, shared

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

SIGNALS = Path(__file__).parents[2] / "monitoring" / "signals"
SERVICE = f"configured-{secrets.token_hex(4)}"
RESOURCE = Resource(attributes=[KeyValue(key="service.name", value=AnyValue(string_value=SERVICE))])


@dataclass
class Profile:
    """Collector and Jaeger as they are shipped, but for addresses."""

    collector: str
    jaeger: Collector
    jaeger_url: str
    logs: VictoriaLogs

    def send(self, signal: str, body: bytes) -> int:
        """Send a message of OTLP to the collector; return the status of its answer."""
        with requests.Session() as session:
            session.trust_env = False
            headers = {"Content-Type": "application/x-protobuf"}
            url = f"{self.collector}/v1/{signal}"
            return session.post(url, body, headers=headers, timeout=30).status_code

    def search(self, **parameters: str) -> set[str]:
        """Return the traces that Jaeger finds."""
        asked = {"service": SERVICE, **parameters}
        answer = http.get(f"{self.jaeger_url}/api/traces", asked).json()
        return {one["traceID"] for one in answer["data"] or []}


@pytest.fixture(scope="module")
def profile(victoria_logs: VictoriaLogs) -> Iterator[Profile]:
    require("Jaeger", Jaeger.installed())
    takes, asked, health, query = (free_port() for _ in range(4))
    jaeger = {
        "0.0.0.0:4318": f"127.0.0.1:{takes}",
        "0.0.0.0:16686": f"127.0.0.1:{asked}\n    grpc: {{endpoint: 127.0.0.1:{query}}}",
        "127.0.0.1:13133": f"127.0.0.1:{health}",
        "/tmp/jaeger": "DIRECTORY",
    }
    own = free_port()
    collector = {
        "0.0.0.0:4318": f"127.0.0.1:{own}",
        "http://jaeger:4318": f"http://127.0.0.1:{takes}",
        "http://loki:3100/otlp": f"{victoria_logs.url}/insert/opentelemetry",
    }
    # As the health check of the Compose file asks.
    status = f"http://127.0.0.1:{health}/status"
    takes_all = f"http://127.0.0.1:{own}/v1/traces"
    with (
        shared(Collector(SIGNALS / "jaeger.yaml", jaeger, status)) as store,
        shared(Collector(SIGNALS / "collector.yaml", collector, takes_all)),
    ):
        url = f"http://127.0.0.1:{asked}"
        yield Profile(f"http://127.0.0.1:{own}", store, url, victoria_logs)


def attributes(**values: str | int) -> list[KeyValue]:
    """Return attributes; `__` stands for the dots of their names."""
    return [
        KeyValue(
            key=name.replace("__", "."),
            value=AnyValue(int_value=value)
            if isinstance(value, int)
            else AnyValue(string_value=value),
        )
        for name, value in values.items()
    ]


def a_trace(id: str) -> bytes:
    """Return a message with one span, as a request that failed leaves it."""
    now = time.time_ns()
    span = trace_pb2.Span(
        trace_id=bytes.fromhex(id),
        span_id=secrets.token_bytes(8),
        name="POST /start",
        start_time_unix_nano=now,
        end_time_unix_nano=now + 1_000_000,
        attributes=attributes(
            url__scheme="http",
            http__route="/api/v1/environments/<environment_id>/start",
            http__response__status_code=503,
            vibebox__kept_because="failed",
        ),
    )
    scope = trace_pb2.ScopeSpans(spans=[span])
    found = trace_pb2.ResourceSpans(resource=RESOURCE, scope_spans=[scope])
    return bytes(ExportTraceServiceRequest(resource_spans=[found]).SerializeToString())


def a_line(id: str) -> bytes:
    """Return a message with one log record of a trace."""
    record = logs_pb2.LogRecord(
        time_unix_nano=time.time_ns(),
        severity_text="INFO",
        body=AnyValue(string_value="request"),
        trace_id=bytes.fromhex(id),
        attributes=attributes(status=503),
    )
    scope = logs_pb2.ScopeLogs(log_records=[record])
    found = logs_pb2.ResourceLogs(resource=RESOURCE, scope_logs=[scope])
    return bytes(ExportLogsServiceRequest(resource_logs=[found]).SerializeToString())


def test_traces_and_lines_come_through_and_are_found_as_links_look_for_them(
    profile: Profile,
) -> None:
    id = secrets.token_hex(16)
    assert profile.send("traces", a_trace(id)) == 200
    assert profile.send("logs", a_line(id)) == 200
    for tags in (
        '{"url.scheme":"http","vibebox.kept_because":"failed"}',
        '{"http.response.status_code":"503"}',
        '{"http.route":"/api/v1/environments/<environment_id>/start"}',
    ):
        wait_until(lambda asked=tags: id in profile.search(tags=asked), 20)  # type: ignore[misc]
    assert id in profile.search(operation="POST /start")
    assert profile.search(operation="GET /start") == set()
    (line,) = profile.logs.wait_for(f'trace_id:="{id}"')
    assert (line["service.name"], line["status"], line["_msg"]) == (SERVICE, "503", "request")


def test_jaeger_keeps_traces_through_its_death(profile: Profile) -> None:
    id = secrets.token_hex(16)
    assert profile.send("traces", a_trace(id)) == 200
    wait_until(lambda: id in profile.search(operation="POST /start"), 20)
    profile.jaeger.kill()
    # The collector says so at once, for that signal alone: VibeBox keeps what it has.
    assert profile.send("traces", a_trace(secrets.token_hex(16))) == 503
    assert profile.send("logs", a_line(id)) == 200
    profile.jaeger.start()
    wait_until(lambda: id in profile.search(operation="POST /start"), 20)
    assert profile.send("traces", a_trace(secrets.token_hex(16))) == 200


def test_collector_takes_no_lines_that_the_log_store_does_not_take(profile: Profile) -> None:
    profile.logs.stop()
    try:
        assert profile.send("logs", a_line(secrets.token_hex(16))) == 503
        assert profile.send("traces", a_trace(secrets.token_hex(16))) == 200
    finally:
        profile.logs.start()
    assert profile.send("logs", a_line(secrets.token_hex(16))) == 200
