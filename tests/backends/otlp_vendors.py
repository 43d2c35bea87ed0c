"""A receiver of OTLP that holds to what a vendor has published, and refuses what that refuses.

The contracts are those that the presets in deploy/otlp name. Where nothing is published, the limit
is that of the OpenTelemetry Collector's receiver.
"""

import gzip
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.backends.otlp_sink import OtlpSink

DELTA, CUMULATIVE = 1, 2
_COLLECTOR = 20 * 1024 * 1024
_MESSAGES: dict[str, Any] = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}


@dataclass(frozen=True)
class Contract:
    """What a vendor asks of a request.

    headers: of each signal, a pattern for the value. most: bytes of each signal, before
    compression; compressed: after it. characters: of an attribute's value. refuses: a temporality,
    with the status of the answer (200: the points are left out) and its words.
    """

    base: str = ""
    headers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    most: Mapping[str, int] = field(default_factory=dict)
    compressed: Mapping[str, int] = field(default_factory=dict)
    characters: int | None = None
    refuses: tuple[int, int, str] | None = None


def _each(**headers: str) -> dict[str, dict[str, str]]:
    found = {name.replace("_", "-"): pattern for name, pattern in headers.items()}
    return {"traces": found, "metrics": found, "logs": found}


CONTRACTS = {
    "collector": Contract(),
    "grafana-cloud": Contract(
        base="/otlp",
        headers=_each(authorization=r"Basic \S+"),
        refuses=(DELTA, 400, "invalid temporality and type combination"),
    ),
    "datadog": Contract(
        headers={
            "traces": {"dd-api-key": r"\S+", "dd-otlp-source": r"\S+"},
            "logs": {"dd-api-key": r"\S+"},
            "metrics": {
                "dd-api-key": r"\S+",
                "dd-otel-metric-config": r'\{"resource_attributes_as_tags": true\}',
            },
        },
        most={"metrics": 500_000, "traces": 15 * 1024 * 1024},
        compressed={"metrics": 512 * 1024},
        refuses=(CUMULATIVE, 400, "only delta metrics are accepted"),
    ),
    "new-relic": Contract(
        headers=_each(api_key=r"\S+"),
        most={"metrics": 1_000_000, "traces": 1_000_000, "logs": 1_000_000},
        characters=4095,
    ),
    "elastic": Contract(headers=_each(authorization=r"(ApiKey|Bearer) \S+")),
    "dynatrace": Contract(
        base="/api/v2/otlp",
        headers=_each(authorization=r"Api-Token \S+"),
        most={"metrics": 4_000_000, "traces": 8_000_000},
        refuses=(CUMULATIVE, 200, "UNSUPPORTED_METRIC_TYPE_MONOTONIC_CUMULATIVE_SUM"),
    ),
}


class RefusedError(Exception):
    """What is wrong with a request, and the status that says so."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class VendorSink(OtlpSink):
    """Takes what keeps to the contract; the rest is in `refused`, and answered as there."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.refused: list[str] = []
        self.largest: dict[str, int] = {}
        super().__init__()

    def _take(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        try:
            self._judge(handler, body)
        except RefusedError as error:
            self.refused.append(f"{handler.path}: {error.status} {error}")
            _answer(handler, error.status, _partly(str(error)) if error.status == 200 else error)
        else:
            super()._take(handler, body)

    def _judge(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        contract = self.contract
        signal = handler.path.rpartition("/")[2]
        if signal not in _MESSAGES or handler.path != f"{contract.base}/v1/{signal}":
            raise RefusedError(404, "no such path")
        for name, pattern in contract.headers.get(signal, {}).items():
            if not re.fullmatch(pattern, handler.headers.get(name, "")):
                raise RefusedError(403, f"header {name} is missing or wrong")
        if handler.headers.get("Content-Type") != "application/x-protobuf":
            raise RefusedError(415, "unsupported content type")
        plain = _plain(handler, body)
        self.largest[signal] = max(len(plain), self.largest.get(signal, 0))
        if len(plain) > contract.most.get(signal, _COLLECTOR):
            raise RefusedError(413, f"{len(plain)} bytes are too large")
        if len(body) > contract.compressed.get(signal, _COLLECTOR):
            raise RefusedError(413, f"{len(body)} compressed bytes are too large")
        self._judge_content(signal, _parsed(signal, plain))

    def _judge_content(self, signal: str, message: Any) -> None:
        contract = self.contract
        if contract.characters is not None:
            for name, value in _texts(message):
                if len(value) > contract.characters or len(name) > 255:
                    raise RefusedError(400, f"attribute {name[:50]} is too long")
        if contract.refuses and contract.refuses[0] in _temporalities(signal, message):
            raise RefusedError(contract.refuses[1], contract.refuses[2])


def _plain(handler: BaseHTTPRequestHandler, body: bytes) -> bytes:
    encoding = handler.headers.get("Content-Encoding")
    if encoding not in (None, "gzip"):
        raise RefusedError(415, f"unsupported encoding {encoding}")
    return gzip.decompress(body) if encoding else body


def _parsed(signal: str, body: bytes) -> Any:
    try:
        return _MESSAGES[signal].FromString(body)
    except Exception as error:
        raise RefusedError(400, "malformed") from error


def _texts(message: Any) -> Iterator[tuple[str, str]]:
    """Yield name and value of each attribute, wherever it stands in a message."""
    if message.DESCRIPTOR.name == "KeyValue":
        yield message.key, message.value.string_value
        return
    for found, value in message.ListFields():
        if found.message_type is not None:
            for one in value if isinstance(value, list) or hasattr(value, "append") else [value]:
                yield from _texts(one)


def _temporalities(signal: str, message: Any) -> set[int]:
    """Return which temporalities the sums and histograms have."""
    if signal != "metrics":
        return set()
    return {
        getattr(metric, kind).aggregation_temporality
        for of_resource in message.resource_metrics
        for scope in of_resource.scope_metrics
        for metric in scope.metrics
        if (kind := metric.WhichOneof("data")) in ("sum", "histogram")
    }


def _partly(why: str) -> bytes:
    answer = ExportMetricsServiceResponse()
    answer.partial_success.rejected_data_points = 1
    answer.partial_success.error_message = why
    return bytes(answer.SerializeToString())


def _answer(handler: BaseHTTPRequestHandler, status: int, content: bytes | Exception) -> None:
    text = content if isinstance(content, bytes) else str(content).encode()
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(text)))
    handler.end_headers()
    handler.wfile.write(text)
