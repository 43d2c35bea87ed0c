"""What a request moves, exactly."""

import time
import uuid
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from flask import Response
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI

from app.web.gunicorn_worker.served import ServedRequest
from prefork_metrics.exchange import SOCKET
from prefork_metrics.exemplars import Pairs
from prefork_metrics.values import Value, store
from tests.support.checks import moved, read

REQUESTS = "vibebox_http_requests_total"
TIMES = "vibebox_http_request_duration_seconds_count"
ERRORS = "vibebox_api_errors_total"
ACTIVE = "vibebox_active_connections"
OVERFLOW = "vibebox_metrics_label_overflow_total"


@pytest.fixture
def odd(app: OpenAPI) -> FlaskClient:
    """A client of the application with routes that do odd things."""

    def stream() -> Response:
        def body() -> Iterator[bytes]:
            yield str(read(ACTIVE)[()]).encode()

        return Response(body())

    def bug() -> Response:
        raise RuntimeError("bug")

    app.add_url_rule("/stream", "stream", stream)
    app.add_url_rule("/bug", "bug", bug)
    for status in (408, 504, 502, 599, 201):
        app.add_url_rule(f"/{status}", f"{status}", _answering(status))
    return app.test_client()


def _answering(status: int) -> Callable[[], Response]:
    return lambda: Response("", status)


def test_request_counts_once(odd: FlaskClient, subtests: pytest.Subtests) -> None:
    for method, path, labels in (
        ("GET", "/health", ("GET", "/health", "200")),
        ("HEAD", "/health", ("HEAD", "/health", "200")),
        ("OPTIONS", "/health", ("OPTIONS", "/health", "200")),
        ("GET", "/nowhere", ("GET", "unmatched", "404")),
        ("PUT", "/health", ("PUT", "unmatched", "405")),
        ("BREW", "/health", ("OTHER", "unmatched", "405")),
        ("GET", "/api/v1/auth/me", ("GET", "/api/v1/auth/me", "401")),
        ("GET", "/health/metrics", ("GET", "/health/metrics", "200")),
        ("GET", "/201", ("GET", "/201", "201")),
        ("GET", "/bug", ("GET", "/bug", "500")),
    ):
        with subtests.test(f"{method} {path}"):
            with moved(REQUESTS) as requests, moved(TIMES) as times:
                odd.open(path, method=method)

            assert requests == {labels: 1}
            assert times == {labels: 1}


def test_error_counts_once_by_its_type(odd: FlaskClient, subtests: pytest.Subtests) -> None:
    for path, labels in {
        "/nowhere": ("client_error", "unmatched", "404"),
        "/bug": ("unhandled_exception", "/bug", "500"),
        "/502": ("server_error", "/502", "502"),
        "/504": ("timeout", "/504", "504"),
        "/408": ("timeout", "/408", "408"),
    }.items():
        with subtests.test(path):
            with moved(ERRORS) as errors:
                odd.get(path)

            assert errors == {labels: 1}


def test_success_is_no_error(odd: FlaskClient) -> None:
    with moved(ERRORS) as errors:
        odd.get("/health")

    assert errors == {}


def test_made_up_method_is_counted_as_overflow(odd: FlaskClient) -> None:
    with moved(OVERFLOW) as overflow:
        odd.open("/health", method="BREW")
        odd.open("/health", method="get")

    assert overflow == {(REQUESTS,): 2}


def test_request_is_in_flight_while_its_body_lasts(odd: FlaskClient) -> None:
    idle = read(ACTIVE)[()]

    assert float(odd.get("/stream").data) == idle + 1
    assert read(ACTIVE)[()] == idle


def test_scrape_is_not_in_flight_for_itself(odd: FlaskClient) -> None:
    idle = read(ACTIVE)[()]
    shown = odd.get("/health/metrics").get_data(as_text=True)

    assert f"\n{ACTIVE} {idle}\n" in shown


def test_aborted_request_counts_once_and_is_not_left_in_flight(odd: FlaskClient) -> None:
    idle = read(ACTIVE)[()]
    with moved(REQUESTS) as requests:
        odd.get("/stream", buffered=False).close()

    assert requests == {("GET", "/stream", "200"): 1}
    assert read(ACTIVE)[()] == idle


def test_wait_for_a_thread_is_counted_but_not_of_probes(
    odd: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    waits, times = "vibebox_http_queue_wait_seconds", "vibebox_http_request_duration_seconds"
    peer = SimpleNamespace(request=ServedRequest(time.perf_counter() - 3))
    with moved(f"{waits}_count") as counts, moved(f"{waits}_sum") as seconds:
        with moved(f"{times}_sum") as durations:
            odd.get("/201", environ_overrides={SOCKET: peer})
        odd.get("/health", environ_overrides={SOCKET: peer})

    assert counts == {(): 1}
    assert 3 <= seconds[()] < 4
    assert 3 <= durations["GET", "/201", "201"] < 4
    lines = [vars(record) for record in caplog.records if record.message == "request"]
    assert all(line["queue_ms"] >= 3000 <= line["duration_ms"] for line in lines)
    assert len(lines) == 2


def test_time_of_the_client_is_told_apart(
    odd: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    served = ServedRequest(time.perf_counter() - 3)
    served.waited = 2.5
    odd.get("/201", environ_overrides={SOCKET: SimpleNamespace(request=served)})
    odd.get("/201")

    slow, quick = [vars(record) for record in caplog.records if record.message == "request"]
    assert slow["client_ms"] == 2500
    assert 500 <= slow["duration_ms"] < 1500
    assert not {"queue_ms", "client_ms", "problem"} & set(quick)


Put = list[tuple[Value, Pairs]]


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Put:
    """What is put beside the buckets; the tests' process shares no values."""
    caplog.set_level("INFO")
    pairs: Put = []

    def note(bucket: Value, labels: Pairs, observed: float) -> None:
        assert 0 <= observed < 10
        pairs.append((bucket, labels))

    monkeypatch.setattr(store, "put_exemplar", note)
    return pairs


def test_a_bucket_leads_to_a_request_once_a_second(odd: FlaskClient, put: Put) -> None:
    route = uuid.uuid4().hex  # of a series that no other test has filled
    odd.application.add_url_rule(f"/{route}", route, lambda: "")
    for number in range(10):
        odd.get(f"/{route}", headers={"X-Request-ID": f"r{number}"})

    buckets = [bucket for bucket, _ in put]
    assert len(set(buckets)) == len(buckets)
    assert put[0][1] == (("request_id", "r0"),)


def test_a_trace_goes_before_the_request_id(odd: FlaskClient, put: Put) -> None:
    odd.application.add_url_rule("/traced", uuid.uuid4().hex, lambda: "")
    odd.get("/traced", headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})

    assert [labels for _, labels in put] == [(("trace_id", "a" * 32),)]


def test_what_is_not_logged_is_no_exemplar(
    odd: FlaskClient, put: Put, caplog: pytest.LogCaptureFixture
) -> None:
    odd.get("/health/live")
    caplog.set_level("WARNING")
    odd.get("/201")

    assert put == []
