import requests
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from tests.backends.victoria_logs import VictoriaLogs


def test_records_are_found_by_their_fields_also_after_a_restart(
    victoria_logs: VictoriaLogs,
) -> None:
    service = KeyValue(key="service.name", value=AnyValue(string_value="backend-test"))
    record = LogRecord(
        time_unix_nano=1735689600000000001,
        severity_text="INFO",
        body=AnyValue(string_value="here"),
        trace_id=bytes.fromhex("7c1d5f0e9a3b4c62b8d7e6f5a4938271"),
        attributes=[KeyValue(key="seq", value=AnyValue(int_value=7))],
    )
    request = ExportLogsServiceRequest(
        resource_logs=[
            ResourceLogs(
                resource=Resource(attributes=[service]),
                scope_logs=[ScopeLogs(log_records=[record])],
            )
        ]
    )
    headers = {"VL-Stream-Fields": "service.name", "Content-Type": "application/x-protobuf"}
    body = request.SerializeToString()
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(victoria_logs.otlp_url, data=body, headers=headers, timeout=10)
    assert answer.ok, answer.text

    found = victoria_logs.wait_for("trace_id:7c1d5f0e9a3b4c62b8d7e6f5a4938271")
    assert [(row["_msg"], row["_time"], row["seq"]) for row in found] == [
        ("here", "2025-01-01T00:00:00.000000001Z", "7")
    ]
    stream = '{service.name="backend-test"}'
    assert victoria_logs.streams(stream) == [stream]
    victoria_logs.stop()
    victoria_logs.start()
    assert victoria_logs.stats(f"{stream} | stats count() n, count_uniq(seq) u, min(seq) m") == {
        "n": 1,
        "u": 1,
        "m": 7,
    }
