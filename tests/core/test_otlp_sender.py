"""What becomes of a batch, by what the receiver does: the rules of OTLP over HTTP."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.utils import formatdate
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from app.core.logging import redact
from app.core.otlp_sender import Answer, Sender
from app.core.otlp_target import Target
from app.core.setting_values import headers, pairs
from app.exporter import log_messages, messages, metric_messages
from app.exporter.messages import rejected, request
from app.tracing.records import Span
from tests.backends.otlp_sink import Behaviour, OtlpSink
from tests.backends.programs import wait_until
from tests.support import dripping as drip
from tests.support.dripping import dripping, threads

SPANS = [
    Span(
        "a" * 32,
        f"{n:016x}",
        "",
        "",
        "server",
        "GET /",
        1,
        2,
        {"n": n, "ok": True},
        "",
        0,
        "web-0:1",
    )
    for n in range(1, 4)
]
BODY = request(SPANS, {"service.name": "vibebox", "host.name": "here"})


@pytest.fixture
def sender(sink: OtlpSink) -> Iterator[Sender]:
    sender = Sender(Target(f"{sink.url}/v1/traces", {"api-key": "k"}, 2.0, True, None))
    yield sender
    sender.close()


def test_accepted(sink: OtlpSink, sender: Sender) -> None:
    answer = sender.send(BODY)
    assert answer.accepted is not None
    assert rejected(answer.accepted) == (0, "")
    assert [span.attributes for span in sink.spans] == [{"n": n, "ok": True} for n in (1, 2, 3)]
    assert sink.requests[0]["content-encoding"] == "gzip"
    assert sink.requests[0]["api-key"] == "k"


def test_accepted_in_part(sink: OtlpSink, sender: Sender) -> None:
    sink.behave(Behaviour(rejected=2))
    assert rejected(sender.send(BODY).accepted or b"") == (2, "too old")


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_try_again(sink: OtlpSink, sender: Sender, status: int) -> None:
    sink.behave(Behaviour(status), Behaviour(status, headers=(("Retry-After", "7"),)))
    assert sender.send(BODY).retry == f"status {status}"
    assert sender.send(BODY).after == 7
    at = formatdate(time.time() + 30, usegmt=True)
    sink.behave(Behaviour(status, headers=(("Retry-After", at),)))
    assert 20 < (sender.send(BODY).after or 0) <= 30
    sink.behave(Behaviour(status, headers=(("Retry-After", "soon"),)))
    assert sender.send(BODY).after is None


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413, 500, 501])
def test_refused(sink: OtlpSink, sender: Sender, status: int) -> None:
    sink.behave(Behaviour(status, headers=(("Location", "http://elsewhere.invalid/"),)))
    assert sender.send(BODY).refused == f"status {status}"


def test_what_a_refusing_receiver_says_is_told_without_our_key(sink: OtlpSink) -> None:
    """Whatever it is written in, and however much of it there is."""
    headers = {"authorization": "Basic c2VjcmV0OmtleQ==", "x": "k"}
    ours = Sender(Target(f"{sink.url}/v1/traces", headers, 2.0, True, None))
    said = b"\x08\x10\x12\x1eno access for c2VjcmV0OmtleQ==\nsee \xc3\xa4 page 7\x00"
    sink.behave(Behaviour(403, says=said), Behaviour(400, says=b"a long story " * 10_000))
    assert ours.send(BODY).refused == "status 403: no access for **************** see   page 7"
    assert len(ours.send(BODY).refused) < 400
    ours.close()


@pytest.mark.parametrize(
    ("of", "field", "reader"),
    [
        (ExportTraceServiceResponse, "rejected_spans", messages.rejected),
        (ExportMetricsServiceResponse, "rejected_data_points", metric_messages.rejected),
        (ExportLogsServiceResponse, "rejected_log_records", log_messages.rejected),
    ],
)
def test_what_an_accepting_receiver_says_is_told_as_little(
    sink: OtlpSink, of: Any, field: str, reader: Callable[[bytes], tuple[int, str]]
) -> None:
    """Our key is not in it, it is not long, and to look for other secrets takes no second."""
    said = "too old\nfor c2VjcmV0OmtleQ== at http://user:" + "p" * 300 + "@host " + "://a:" * 10_000
    answer = of(partial_success={field: 2, "error_message": said})
    ours = Sender(Target(f"{sink.url}/", {"x": "Basic c2VjcmV0OmtleQ=="}, 2.0, False, None))
    sink.behave(Behaviour(201, says=answer.SerializeToString()))
    accepted = ours.send(BODY).accepted
    ours.close()
    assert accepted is not None
    begun = time.process_time()
    number, why = reader(accepted)
    redact(why)
    assert time.process_time() - begun < 0.1
    assert number == 2
    assert why.startswith("too old for **************** at http://user:[redacted]@host")
    assert len(why) <= 300


def test_slow_and_gone_and_silent_are_tried_again(sink: OtlpSink) -> None:
    hasty = Sender(Target(f"{sink.url}/v1/traces", {}, 0.3, False, None))
    sink.behave(Behaviour(seconds=0.8), Behaviour(loses_answer=True))
    assert hasty.send(BODY).retry
    assert hasty.send(BODY).retry
    hasty.close()
    nobody = Sender(Target("http://127.0.0.1:1/v1/traces", {}, 0.3, False, None))
    assert nobody.send(BODY).retry
    time.sleep(0.8)


def test_answers_that_are_no_message_accept_all() -> None:
    assert rejected(b"<html>") == (0, "")
    assert rejected(b"") == (0, "")


def test_pairs() -> None:
    assert pairs("a=1, b = two%2C%20three ,=x,c,d=") == {"a": "1", "b": "two, three", "d": ""}


def test_in_doubt_is_only_what_may_have_arrived(sink: OtlpSink, sender: Sender) -> None:
    sink.behave(Behaviour(loses_answer=True), Behaviour(503), Behaviour(504))
    assert sender.send(BODY).in_doubt
    assert not sender.send(BODY).in_doubt
    assert sender.send(BODY).in_doubt
    for url in ("http://127.0.0.1:1/", "http://nobody.invalid/"):
        nobody = Sender(Target(url, {}, 2.0, False, None))
        answer = nobody.send(BODY)
        assert (bool(answer.retry), answer.in_doubt) == (True, False)
        nobody.close()


@pytest.mark.parametrize(
    "after", ["Mon, 99999999999999999999 Jan 2026 00:00:00 GMT", "1, 2", "", "-5"]
)
def test_a_senseless_retry_after_says_nothing(sink: OtlpSink, sender: Sender, after: str) -> None:
    sink.behave(Behaviour(503, headers=(("Retry-After", after),)))
    answer = sender.send(BODY)
    assert (answer.retry, answer.after) == ("status 503", None)


def test_a_dripping_receiver_has_its_time_and_no_more() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()

        def drip() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                while not stop.wait(0.1):
                    connection.sendall(b"H")

        thread = threading.Thread(target=drip)
        thread.start()
        port = listener.getsockname()[1]
        dripped = Sender(Target(f"http://127.0.0.1:{port}/", {}, 0.5, False, None))
        begun = time.monotonic()
        answer = dripped.send(BODY)
        took = time.monotonic() - begun
        stop.set()
        thread.join()
        dripped.close()
    assert answer == Answer(retry="no answer in time", in_doubt=True)
    assert took < 2
    time.sleep(0.3)  # its thread ends with the connection


@pytest.mark.parametrize("beginning", [drip.HEAD, drip.BODY, drip.LAST_BODY])
def test_no_thread_is_left_behind_a_dripping_receiver(beginning: bytes) -> None:
    with dripping(beginning) as url:
        dripped = Sender(Target(url, {}, 0.2, False, None))
        for _ in range(3):
            dripped.send(BODY)
            wait_until(lambda: not threads("sender"), timeout=5)
        dripped.close()


def test_without_a_thread_it_is_tried_again(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    assert sender.send(BODY) == Answer(retry="there is no thread left")


@pytest.mark.parametrize("text", ["a=%0Ab", "a=%E2%82%AC", "x y=1", "a=\x07"])
def test_headers_that_cannot_be_sent_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no header may hold"):
        headers(text)
    assert headers("api-key=a%20b,authorization=Basic%20eDp5") == {
        "api-key": "a b",
        "authorization": "Basic eDp5",
    }
