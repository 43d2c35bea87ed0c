"""/telemetry/v1/{traces,metrics,logs}: OTLP over HTTP, from programs in environments.

Who sends is told by the token, and not believed of the body. There only where the operator has set
a receiver; no part of the API.
"""

import zlib
from typing import Literal

from flask import Blueprint, Response, request

from app.core.errors import BodyTooLargeError, InvalidTokenError, TelemetryRefusedError
from app.web.authentication import bearer_token
from app.web.services import components

LARGEST = 1024 * 1024
"""Bytes of a body, as it comes and unpacked."""
_PROTOBUF = "application/x-protobuf"
_GZIP = zlib.MAX_WBITS | 16

pages = Blueprint("user_telemetry", __name__, url_prefix="/telemetry")


@pages.post("/v1/<any(traces, metrics, logs):signal>")
def receive(signal: Literal["traces", "metrics", "logs"]) -> Response:
    """Take a request of OTLP."""
    request.max_content_length = LARGEST
    intake = components().user_telemetry
    if intake is None:
        raise RuntimeError("these routes are there only where there is a receiver")
    environment = intake.environment_of(bearer_token())
    if environment is None:
        raise InvalidTokenError("The token is that of no environment.")
    if request.mimetype != _PROTOBUF:
        raise TelemetryRefusedError(
            f"Send it as {_PROTOBUF}: OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf."
        )
    with intake.place(environment):
        body = request.get_data(cache=False)  # who sends it slowly holds up nobody else
        with intake.turn():
            intake.take(signal, environment, _unpacked(body))
    return Response(b"", content_type=_PROTOBUF)


def _unpacked(body: bytes) -> bytes:
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise TelemetryRefusedError("Send it as it is, or packed by gzip.")
    unpacking = zlib.decompressobj(_GZIP)
    try:
        plain = unpacking.decompress(body, LARGEST)
    except zlib.error as error:
        raise TelemetryRefusedError("The body is no gzip.") from error
    if unpacking.unconsumed_tail:
        raise BodyTooLargeError(f"Send at most {LARGEST // 1024} KiB, unpacked.")
    return plain
