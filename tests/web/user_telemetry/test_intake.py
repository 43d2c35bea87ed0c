"""What users' programs tell of themselves arrives under the name of their environment alone."""

import gzip
import io
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2
from werkzeug.test import TestResponse

from app.core.errors import TelemetryPostponedError
from app.domain.user_telemetry.tokens import TelemetryTokens
from app.storage import new_id
from app.web.user_telemetry import routes
from app.web.user_telemetry.forwarding import Forwarding
from app.web.user_telemetry.intake import AT_ONCE, Intake
from app.web.user_telemetry.rewriting import MOST_ATTRIBUTES, MOST_RESOURCES, rewrite
from tests.backends.otlp_sink import Behaviour, OtlpSink
from tests.backends.programs import wait_until
from tests.support.application import MakeApp, User, sign_up
from tests.support.dripping import HEAD, dripping, threads

KEY = "x9aMlY-1MLrIJYgVYv7uqZcXl1xLcYtJZ8yP4S1Rk1k="
FORGED = {
    "service.name": "vibebox",
    "Service_Name": "vibebox",
    "vibebox.team": "others",
    " vibebox.environment": "others",
    "VIBEBOX_worker": "agent",
}


class Sender:
    """A program in an environment."""

    def __init__(self, client: FlaskClient, user: User, name: str = "billing") -> None:
        self.id = user.new_environment(name)
        self.token = TelemetryTokens(KEY).token(self.id)
        self._client = client

    def send(self, body: bytes, signal: str = "traces", **headers: str) -> TestResponse:
        return self._client.post(
            f"/telemetry/v1/{signal}",
            data=body,
            headers={
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/x-protobuf",
                "Host": "host.docker.internal",
                **headers,
            },
        )


@pytest.fixture
def client(make_app: MakeApp, sink: OtlpSink) -> FlaskClient:
    app = make_app(
        user_otlp_endpoint=sink.url,
        user_otlp_headers="x-users=1",
        user_otlp_address="http://172.17.0.1:3000",
        user_otlp_rate=1000,
        secret_keys=KEY,
    )
    return app.test_client()


@pytest.fixture
def sender(client: FlaskClient) -> Iterator[Sender]:
    yield Sender(client, sign_up(client, "ada@example.org"))


def resource(**attributes: str) -> Resource:
    return Resource(
        attributes=[
            KeyValue(key=name, value=AnyValue(string_value=value))
            for name, value in attributes.items()
        ]
    )


def a_trace(**attributes: str) -> bytes:
    span = trace_pb2.Span(trace_id=b"t" * 16, span_id=b"s" * 8, name="work")
    scope = trace_pb2.ScopeSpans(spans=[span])
    part = trace_pb2.ResourceSpans(resource=resource(**attributes), scope_spans=[scope])
    return bytes(ExportTraceServiceRequest(resource_spans=[part]).SerializeToString())


def test_what_it_says_of_itself_is_overwritten(sender: Sender, sink: OtlpSink) -> None:
    answer = sender.send(a_trace(**FORGED, **{"host.name": "box"}))
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.content_type == "application/x-protobuf"
    ((span,),) = [list(sink.spans)]
    project = span.resource.pop("vibebox.project")
    assert project
    assert span.resource == {
        "host.name": "box",
        "service.name": "billing",
        "vibebox.environment": sender.id,
        "vibebox.said.service": "vibebox",
    }
    (request,) = sink.requests
    assert (request["path"], request["x-users"]) == ("/v1/traces", "1")
    assert "authorization" not in request


@pytest.mark.parametrize("name", ["vibebox", "vibebox-environment"])
def test_no_environment_is_called_as_the_service_is(
    sender: Sender, client: FlaskClient, sink: OtlpSink, name: str
) -> None:
    user = sign_up(client, "bob@example.org")
    assert Sender(client, user, name).send(a_trace()).status_code == 200
    assert sink.spans[0].resource["service.name"] == f"environment-{name}"


def test_packed_bodies_are_taken(sender: Sender, sink: OtlpSink) -> None:
    packed = gzip.compress(a_trace())
    assert sender.send(packed, **{"Content-Encoding": "gzip"}).status_code == 200
    assert len(sink.spans) == 1


def test_metrics_and_logs_too() -> None:
    true = {"service.name": "billing", "vibebox.environment": "e"}
    metrics = ExportMetricsServiceRequest(
        resource_metrics=[metrics_pb2.ResourceMetrics(resource=resource(**FORGED))]
    )
    logs = ExportLogsServiceRequest(
        resource_logs=[logs_pb2.ResourceLogs(resource=resource(**FORGED))]
    )
    for signal, message, field in (
        ("metrics", metrics, "resource_metrics"),
        ("logs", logs, "resource_logs"),
    ):
        done = type(message).FromString(rewrite(signal, message.SerializeToString(), true))
        (part,) = getattr(done, field)
        found = {one.key: one.value.string_value for one in part.resource.attributes}
        assert found == true | {"vibebox.said.service": "vibebox"}


@pytest.mark.parametrize("name", ["environment_id", "Environment.Id", " environment-id"])
def test_no_record_names_another_environment(name: str) -> None:
    """Links of dashboards look for an environment's lines by it, whoever sent them."""
    said = [KeyValue(key=key, value=AnyValue(string_value="x")) for key in (name, "kept")]
    records = [logs_pb2.LogRecord(attributes=said, severity_text="info")]
    scope = logs_pb2.ScopeLogs(log_records=records)
    logs = ExportLogsServiceRequest(
        resource_logs=[logs_pb2.ResourceLogs(resource=resource(**{name: "x"}), scope_logs=[scope])]
    )
    done = ExportLogsServiceRequest.FromString(rewrite("logs", logs.SerializeToString(), {}))
    (part,) = done.resource_logs
    (record,) = part.scope_logs[0].log_records
    assert [one.key for one in part.resource.attributes] == []
    assert [one.key for one in record.attributes] == ["kept"]
    assert record.severity_text == "info"


def test_nothing_slips_past_in_fields_that_we_do_not_know() -> None:
    body = a_trace()
    part = ExportTraceServiceRequest.FromString(body).resource_spans[0].SerializeToString()
    # Field 1000 of ResourceSpans once held spans; field 99 of the request is of the future.
    hidden = b"\xc2\x3e" + bytes([4]) + b"FAKE"
    grown = part + hidden
    whole = b"\x0a" + bytes([len(grown)]) + grown + b"\x9a\x06" + bytes([4]) + b"FAKE"
    # A second resource is joined with the first by whoever reads it.
    second = b"\x0a" + bytes([2]) + b"\x12\x00"
    assert b"FAKE" in whole
    done = rewrite("traces", whole + second, {"service.name": "billing"})
    assert b"FAKE" not in done
    for found in ExportTraceServiceRequest.FromString(done).resource_spans:
        assert [one.key for one in found.resource.attributes] == ["service.name"]


def crowded(attributes: int) -> bytes:
    """Return a request with one resource of so many empty attributes, two bytes each."""
    resource = Resource(attributes=[KeyValue()] * attributes)
    spans = trace_pb2.ResourceSpans(resource=resource)
    return bytes(ExportTraceServiceRequest(resource_spans=[spans]).SerializeToString())


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\xff\xff\xff", {}, 400),
        (b"{}", {"Content-Type": "application/json"}, 400),
        (b"no gzip", {"Content-Encoding": "gzip"}, 400),
        (b"", {"Content-Encoding": "br"}, 400),
        (gzip.compress(b"\0" * (routes.LARGEST + 1)), {"Content-Encoding": "gzip"}, 413),
        (b"\0" * (routes.LARGEST + 1), {}, 413),
        (b"\x0a\x00" * (MOST_RESOURCES + 1), {}, 400),
        (crowded(MOST_ATTRIBUTES + 1), {}, 400),
        (b"", {"Authorization": "Bearer vbx_ot_nobody"}, 401),
        (b"", {"Authorization": ""}, 401),
    ],
)
def test_what_is_refused(
    sender: Sender, sink: OtlpSink, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = sender.send(body, **headers)
    assert answer.status_code == status
    assert answer.json is not None
    assert answer.json["detail"]
    assert not sink.requests


def test_the_token_of_a_deleted_environment_is_good_no_more(sender: Sender, sink: OtlpSink) -> None:
    sender.token = TelemetryTokens(KEY).token(new_id())
    assert sender.send(a_trace()).status_code == 401
    assert not sink.requests


def test_the_token_opens_nothing_else(sender: Sender, client: FlaskClient) -> None:
    headers = {"Authorization": f"Bearer {sender.token}"}
    assert client.get("/api/v1/auth/me", headers=headers).status_code == 401
    assert client.get("/api/v1/environments", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [
        (Behaviour(status=503), 429),
        (Behaviour(status=429), 429),
        (Behaviour(loses_answer=True), 429),
        (Behaviour(status=403), 400),
    ],
)
def test_a_receiver_that_does_not_take_it_is_no_fault_of_the_service(
    sender: Sender, sink: OtlpSink, behaviour: Behaviour, status: int
) -> None:
    sink.behave(behaviour)
    answer = sender.send(a_trace())
    assert answer.status_code == status
    assert ("Retry-After" in answer.headers) is (status == 429)
    assert sender.send(a_trace()).status_code == 200


def test_a_slow_receiver_is_waited_for_no_longer_than_that(sink: OtlpSink) -> None:
    sink.behave(Behaviour(seconds=0.5))
    forwarding = Forwarding(sink.url, {}, seconds=0.1)
    with pytest.raises(TelemetryPostponedError):
        forwarding.send("traces", a_trace())
    for thread in threading.enumerate():
        if thread.name == "forwarding":
            thread.join(5)


def test_dripping_answers_keep_no_thread() -> None:
    with dripping(HEAD) as url:
        forwarding = Forwarding(url, {}, seconds=0.1)
        for _ in range(10):
            with pytest.raises(TelemetryPostponedError):
                forwarding.send("traces", a_trace())
        wait_until(lambda: not threads("forwarding"), timeout=5)


def test_an_environment_has_one_place_and_its_share_of_a_second() -> None:
    clock = [0.0]
    never: Any = None
    intake = Intake(TelemetryTokens(KEY), never, never, 2, now=lambda: clock[0])
    with intake.place("a"):
        with pytest.raises(TelemetryPostponedError), intake.place("a"):
            pass
        with intake.place("b"), intake.place("c"):
            pass
    with intake.place("a"):
        pass
    with pytest.raises(TelemetryPostponedError), intake.place("a"):
        pass
    clock[0] = 1.0
    with intake.place("a"):
        pass


class Slow(io.BytesIO):
    """A body whose end does not come before it may."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.begun, self.may_end = threading.Event(), threading.Event()

    def readinto(self, buffer: Any) -> int:
        self.begun.set()
        assert self.may_end.wait(10)
        return super().readinto(buffer)

    def read(self, size: int | None = -1) -> bytes:
        self.begun.set()
        assert self.may_end.wait(10)
        return super().read(size)


def test_who_sends_slowly_holds_up_nobody_else(sender: Sender, client: FlaskClient) -> None:
    user = sign_up(client, "bob@example.org")
    body, answers = a_trace(), []
    slow = [(Sender(client, user, f"slow-{n}"), Slow(body)) for n in range(AT_ONCE)]

    def send(environment: Sender, stream: Slow) -> None:
        headers = {
            "Authorization": f"Bearer {environment.token}",
            "Content-Type": "application/x-protobuf",
            "Content-Length": str(len(body)),
            "Host": "host.docker.internal",
        }
        fresh = client.application.test_client()
        answer = fresh.post("/telemetry/v1/traces", input_stream=stream, headers=headers)
        answers.append(answer.status_code)

    threads = [threading.Thread(target=send, args=one) for one in slow]
    for thread, (_, stream) in zip(threads, slow, strict=True):
        thread.start()
        assert stream.begun.wait(10)

    assert sender.send(body).status_code == 200
    assert slow[0][0].send(body).status_code == 429  # one request after another
    for thread, (_, stream) in zip(threads, slow, strict=True):
        stream.may_end.set()
        thread.join()
    assert answers == [200] * AT_ONCE


def test_few_are_handed_on_at_once() -> None:
    never: Any = None
    intake = Intake(TelemetryTokens(KEY), never, never, 2)
    with intake.turn(), intake.turn(), pytest.raises(TelemetryPostponedError), intake.turn():
        pass
    with intake.turn():
        pass


def test_off_there_is_no_such_route(make_app: MakeApp) -> None:
    app = make_app()
    assert app.test_client().post("/telemetry/v1/traces").status_code == 404
