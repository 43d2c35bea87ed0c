"""Log lines of a real server with two workers, as a receiver of OTLP gets them."""

import os
import secrets
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from app.tracing.log_records import SLOTS
from tests.backends import http
from tests.backends.agent import Agent
from tests.backends.otlp_sink import Behaviour, LogLine, OtlpSink
from tests.backends.programs import wait_until
from tests.backends.victoria_logs import VictoriaLogs
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory
from tests.end_to_end.api import PASSWORD, Api
from tests.end_to_end.test_traces import settings as traced
from tests.support.rings import held

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(180)]

PATIENCE = 20.0
DROPPED = {"level", "logger", "event", "trace_id", "span_id", "worker", "pid", "time"}


def settings(sink: OtlpSink, **more: str) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": f"{sink.url}/v1/logs", **more}


def lines_of(sink: OtlpSink, request_id: str) -> list[LogLine]:
    """Return the lines of a request, once there is one."""

    def found() -> list[LogLine]:
        records = list(sink.records)
        return [line for line in records if line.attributes.get("request_id") == request_id]

    wait_until(lambda: bool(found()), PATIENCE)
    return found()


def test_a_line_arrives_as_standard_output_has_it(
    sink: OtlpSink, web_server: WebServerFactory
) -> None:
    server = web_server(traced(sink, VIBEBOX_TRACES_RATIO="1"))
    caller = secrets.token_hex(16)
    with Api(server.url) as api:
        api.sign_up()
        headers = {"traceparent": f"00-{caller}-{'1' * 16}-00"}
        answer = http.get(f"{server.url}/api/v1/environments?token=vbx_at_secret", headers=headers)
    id = answer.headers["X-Request-ID"]
    (arrived,) = lines_of(sink, id)
    (line,) = [line for line in server.log_lines() if line.get("request_id") == id]
    assert (arrived.body, arrived.scope, arrived.level) == ("request", "app.access", "INFO")
    assert (arrived.severity, arrived.trace_id, arrived.span_id) == (9, caller, line["span_id"])
    assert arrived.attributes == {name: it for name, it in line.items() if name not in DROPPED}
    assert arrived.resource["service.name"] == "vibebox"
    assert arrived.resource["deployment.environment.name"] == "test bed"
    assert arrived.resource["vibebox.worker"] == line["worker"]
    assert arrived.resource["process.pid"] == line["pid"]
    assert time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(arrived.at_ns // 10**9)) in line["time"]
    # Of all processes, with what they said before they were forked.
    wait_until(
        lambda: {"listening", "exporting traces"} <= {line.body for line in list(sink.records)},
        PATIENCE,
    )
    assert sink.log_requests[0]["authorization"] == "Bearer s3cret"
    for body in sink.log_bodies:
        for secret in (b"vbx_at_s", b"token=v", b"s3cret", PASSWORD.encode()):
            assert secret not in body


def test_a_request_is_found_in_the_store_by_its_trace(
    victoria_logs: VictoriaLogs, sink: OtlpSink, web_server: WebServerFactory
) -> None:
    env = traced(
        sink,
        OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=victoria_logs.otlp_url,
        OTEL_EXPORTER_OTLP_LOGS_HEADERS="VL-Stream-Fields=service.name",
        OTEL_SERVICE_NAME="found-by-trace",
    )
    server = web_server(env)
    agent = Agent.beside(server).start()
    try:
        id = http.get(f"{server.url}/nothing").headers["X-Request-ID"]
        (row,) = victoria_logs.wait_for(f"trace_id:{id}")
        assert (row["_msg"], row["request_id"], row["status"]) == ("request", id, "404")
        stream = '{service.name="found-by-trace"}'
        assert row["_stream"] == stream
        victoria_logs.wait_for(f'{stream} vibebox.worker:agent _msg:="agent started"')
    finally:
        agent.close()


def test_nothing_of_a_killed_worker_is_lost(sink: OtlpSink, web_server: WebServerFactory) -> None:
    server = web_server(settings(sink))
    sink.behave_with_logs(*[Behaviour(status=503)] * 2)
    ids = []
    for _ in range(3):
        ids += [http.get(f"{server.url}/nothing").headers["X-Request-ID"] for _ in range(20)]
        killed = server.worker_pids()
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        server.wait_for_workers(partial(_are_others, killed))
        server.wait_live()

    def arrived() -> set[str]:
        return {str(line.attributes.get("request_id")) for line in list(sink.records)}

    told = {line["request_id"] for line in server.log_lines() if "request_id" in line}
    assert len(told & set(ids)) >= len(ids) - 3  # the last of a killed worker may not be written
    wait_until(lambda: told <= arrived(), PATIENCE)
    wait_until(
        lambda: server.metric("vibebox_log_records_total", result="exported") >= len(ids) - 3,
        PATIENCE,
    )
    assert server.metric("vibebox_log_records_total", result="dropped") == 0


def _are_others(killed: list[int], pids: list[int]) -> bool:
    return len(pids) == 2 and not set(pids) & set(killed)


def test_what_is_not_taken_is_counted_and_does_not_feed_itself(
    sink: OtlpSink, web_server: WebServerFactory
) -> None:
    server = web_server(settings(sink, VIBEBOX_LOG_LEVEL="debug"))
    wait_until(lambda: len(sink.records) > 0, PATIENCE)
    sink.behave_with_logs(Behaviour(rejected=1), *[Behaviour(status=400)] * 1000)
    http.get(f"{server.url}/nothing")
    records = partial(server.metric, "vibebox_log_records_total")
    wait_until(lambda: records(result="rejected") == 1, PATIENCE)
    http.get(f"{server.url}/nothing")
    wait_until(lambda: records(result="failed") > 0, PATIENCE)

    told = [line for line in server.log_lines() if line["event"] == "log records refused"]
    assert [line["why"] for line in told] == ["status 400"]
    # At this level each request to the receiver has lines of its own.
    exporters = [it for it in list(sink.records) if it.resource["vibebox.worker"] == "exporter"]
    assert exporters
    assert {line.scope for line in exporters} == {"app.exporter.process"}


def test_what_has_no_room_is_counted(web_server: WebServerFactory) -> None:
    with OtlpSink() as gone:
        port = gone.port
    env = {
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": f"http://127.0.0.1:{port}/v1/logs",
        "VIBEBOX_LOGS_MB": "1",
    }
    server: WebServer = web_server(env, start=False)
    rings = Path(f"{server.env['PROMETHEUS_MULTIPROC_DIR']}-traces/logs")
    with held(rings, 1 << 20, SLOTS, SLOTS - 4):
        server.start()
        for _ in range(400):
            http.get(f"{server.url}/nothing")
    dropped = partial(server.metric, "vibebox_log_records_total", result="dropped")
    wait_until(lambda: dropped() > 0, PATIENCE)
    with OtlpSink(port) as sink:
        requests = [it for it in server.log_lines() if it.get("route") == "unmatched"]
        wait_until(
            lambda: (
                dropped() + len([1 for it in list(sink.records) if it.body == "request"])
                >= len(requests)
            ),
            PATIENCE,
        )
