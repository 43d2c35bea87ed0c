"""What the server refuses: its answer, its count, its line in the log."""

import json

import pytest
from flask_openapi3 import OpenAPI
from gunicorn.http import errors as parser

from app.core.errors import (
    HeadersTooLargeError,
    HttpVersionError,
    IncompleteBodyError,
    MalformedRequestError,
    RequestTimeoutError,
    UriTooLongError,
    VibeBoxError,
)
from app.web.gunicorn_worker.refusals import refusal
from app.web.refusals import Refusals
from app.web.services import EXTENSION
from tests.support.checks import moved

REQUESTS = "vibebox_http_requests_total"
TIMES = "vibebox_http_request_duration_seconds_count"
WAITS = "vibebox_http_queue_wait_seconds_count"
ERRORS = "vibebox_api_errors_total"
OVERFLOW = "vibebox_metrics_label_overflow_total"


@pytest.fixture
def refusals(app: OpenAPI) -> Refusals:
    found: Refusals = app.extensions[EXTENSION].refusals
    return found


def parsed(response: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = response.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return first, dict(line.split(": ", 1) for line in lines), body


def test_the_answer_is_a_problem_and_the_last_of_its_connection(
    refusals: Refusals, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    first, headers, body = parsed(refusals.answer(UriTooLongError(), "GET", "/long"))

    assert first.startswith("HTTP/1.1 414 ")
    assert headers["Connection"] == "close"
    assert headers["Content-Type"] == "application/problem+json"
    assert int(headers["Content-Length"]) == len(body)
    problem = json.loads(body)
    assert problem["type"] == "urn:vibebox:problem:uri-too-long"
    assert problem["status"] == 414
    assert problem["request_id"] == headers["X-Request-ID"]
    (line,) = [record for record in caplog.records if record.message == "request"]
    fields = vars(line)
    assert (fields["method"], fields["path"], fields["status"]) == ("GET", "/long", 414)
    assert (fields["route"], fields["problem"]) == ("unmatched", "uri-too-long")


@pytest.mark.parametrize(
    ("method", "label", "overflow"),
    [("GET", "GET", {}), ("", "OTHER", {}), ("PRI", "OTHER", {(REQUESTS,): 1})],
)
def test_it_is_counted_once(
    refusals: Refusals, method: str, label: str, overflow: dict[tuple[str], int]
) -> None:
    with moved(REQUESTS) as requests, moved(TIMES) as times, moved(ERRORS) as errors:
        with moved(OVERFLOW) as over, moved(WAITS) as waits:
            refusals.answer(MalformedRequestError(), method, "")

    assert requests == times == {(label, "unmatched", "400"): 1}
    assert errors == {("client_error", "unmatched", "400"): 1}
    assert over == overflow
    assert waits == {}, "it waited for no thread"


@pytest.mark.parametrize(
    ("error", "kind"),
    [(RequestTimeoutError(), "timeout"), (HttpVersionError(), "client_error")],
)
def test_it_is_no_failure_of_ours(refusals: Refusals, error: VibeBoxError, kind: str) -> None:
    with moved(ERRORS) as errors:
        refusals.answer(error, "GET", "/")
    assert errors == {(kind, "unmatched", str(error.status)): 1}


def test_what_the_application_counted_is_not_counted_again(
    refusals: Refusals, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with moved(REQUESTS) as requests:
        _, headers, _ = parsed(refusals.answer(VibeBoxError(), "GET", "/", "its-id"))
    assert headers["X-Request-ID"] == "its-id"
    assert requests == {}
    assert not caplog.records


def test_a_head_request_gets_no_body(refusals: Refusals) -> None:
    _, headers, body = parsed(refusals.answer(HeadersTooLargeError(), "HEAD", "/"))
    assert body == b""
    assert int(headers["Content-Length"]) > 0


PARSER_ERRORS: list[type[Exception]] = [
    kind
    for kind in vars(parser).values()
    if isinstance(kind, type) and issubclass(kind, parser.ParseException)
]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (parser.InvalidRequestLine("GET"), 400),
        (parser.InvalidRequestMethod("g"), 400),
        (parser.InvalidHTTPVersion((2, 0)), 505),
        (parser.InvalidHeader("x"), 400),
        (parser.InvalidHeaderName("x"), 400),
        (parser.ObsoleteFolding("x"), 400),
        (parser.UnsupportedTransferCoding("x"), 501),
        (parser.ExpectationFailed("x"), 417),
        (parser.InvalidChunkSize(b"x"), 400),
        (parser.ChunkMissingTerminator(b"x"), 400),
        (parser.InvalidChunkExtension("x"), 400),
        (parser.LimitRequestLine(5000, 4094), 414),
        (parser.LimitRequestHeaders("x"), 431),
        (parser.InvalidProxyLine("x"), 400),
        (parser.InvalidProxyHeader("x"), 400),
        (parser.ForbiddenProxyRequest("x"), 403),
        (parser.InvalidSchemeHeaders(), 400),
        (parser.InvalidH2CPreface(b"x"), 400),
        (IncompleteBodyError(), 400),
        (parser.InvalidResponseHeader("x"), None),
        (parser.InvalidResponseHeaderName("x"), None),
        (parser.ConfigurationProblem("x"), None),
        (RuntimeError("x"), None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_errors_of_the_parser(error: Exception, status: int | None) -> None:
    found = refusal(error)
    assert (found.status if found else None) == status


def test_every_error_of_the_parser_is_told_or_ours() -> None:
    """A new kind in a later gunicorn is at least a 400."""
    named = "req method hdr data info expect version term reason line host msg".split()
    for kind in PARSER_ERRORS:
        error = kind.__new__(kind)
        vars(error).update({**dict.fromkeys(named, "x"), "size": 1, "max_size": 1})
        found = refusal(error)
        assert found is None or 400 <= found.status < 500 or found.status in (501, 505)
