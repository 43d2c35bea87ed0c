"""What the agent makes of a receiver's answers, as real receivers give them: with a reason."""

import threading
from collections.abc import Iterator

import pytest

from app.core.log_receiver import Outcome
from app.core.otlp_target import Target
from app.exporter.container_logs import OtlpReceiver
from tests.backends.otlp_sink import Behaviour, OtlpSink

HTML = b"<html><head><title>Request Entity Too Large</title></head></html>"


@pytest.fixture
def receiver(sink: OtlpSink) -> Iterator[OtlpReceiver]:
    to = Target(f"{sink.url}/v1/logs", {}, 2.0, True, None)
    receiver = OtlpReceiver(to, {"service.name": "vibebox-environment"}, threading.Event())
    yield receiver
    receiver.close()


@pytest.mark.parametrize("says", [b"", HTML], ids=["nothing", "why"])
@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (413, Outcome.TOO_LARGE),
        (400, Outcome.UNWANTED),
        (422, Outcome.UNWANTED),
        (403, Outcome.CLOSED),
        (503, Outcome.RETRY),
    ],
)
def test_a_status_counts_whatever_is_said_with_it(
    sink: OtlpSink, receiver: OtlpReceiver, status: int, outcome: Outcome, says: bytes
) -> None:
    sink.behave_with_logs(Behaviour(status, says=says))
    reply = receiver.send([])
    assert reply.outcome is outcome
    assert reply.why.startswith(f"status {status}")
