"""Metrics that are pushed are those of the scrape: one total of all processes, since one start."""

import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import pairwise

import psutil
import pytest
import requests

from tests.backends import http
from tests.backends.otlp_sink import Behaviour, OtlpSink
from tests.backends.programs import Program, wait_until
from tests.backends.web import ROOT, Sample, WebServer
from tests.conftest import WebServerFactory
from tests.sizes import size

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(180)]

PATIENCE = 20.0
REQUESTS = "vibebox_http_requests_total"
UNMATCHED: Sample = (
    REQUESTS,
    frozenset({("method", "GET"), ("route", "unmatched"), ("status_code", "404")}),
)


@pytest.fixture
def server(sink: OtlpSink, web_server: WebServerFactory) -> WebServer:
    return web_server(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url,
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        }
    )


def ask(server: WebServer, number: int) -> None:
    for _ in range(number):
        http.get(f"{server.url}/nothing")


def pushed(sink: OtlpSink, number: int) -> bool:
    point = sink.points.get(UNMATCHED)
    return point is not None and point.value == number


def test_totals_are_those_of_the_scrape(server: WebServer, sink: OtlpSink) -> None:
    ask(server, 40)
    wait_until(partial(pushed, sink, 40), PATIENCE)
    first = sink.points[UNMATCHED]
    assert first.temporality == 2

    for pid in server.worker_pids():
        os.kill(pid, signal.SIGKILL)
    server.wait_live()
    ask(server, 5)
    wait_until(partial(pushed, sink, 45), PATIENCE)

    exporter = next(
        process
        for process in psutil.Process(server.pid).children(recursive=True)
        if "exporter" in process.cmdline() and process.ppid() != server.pid
    )
    exporter.kill()
    ask(server, 5)
    wait_until(partial(pushed, sink, 50), PATIENCE)
    assert sink.points[UNMATCHED].start == first.start

    time.sleep(2.5)  # nothing is asked meanwhile
    points, scraped = dict(sink.points), server.metrics()
    moving = ("vibebox_metrics_", "vibebox_process_", "vibebox_python_", "vibebox_worker_")
    compared = {
        sample: value
        for sample, value in scraped.items()
        if (
            not sample[0].startswith(moving) and dict(sample[1]).get("route", "").startswith("/api")
        )
        or sample == UNMATCHED
    }
    assert len(compared) > 100
    assert {sample: points[sample].value for sample in compared} == compared
    assert {sample[0] for sample in scraped} - {name for name, _ in points} == set()


def test_what_a_dead_receiver_did_not_hear_it_hears_later(
    server: WebServer, sink: OtlpSink
) -> None:
    sink.behave(*[Behaviour(status=500)] * 3)
    ask(server, 7)
    wait_until(partial(pushed, sink, 7), PATIENCE)
    wait_until(
        lambda: (
            {"metrics not taken", "metrics taken again"}
            <= {str(line.get("event")) for line in server.log_lines()}
        ),
        PATIENCE,
    )


def test_the_last_is_pushed_at_the_end_and_a_new_start_is_told(
    sink: OtlpSink, web_server: WebServerFactory
) -> None:
    server = web_server(
        {
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{sink.url}/v1/metrics",
            "OTEL_METRICS_EXPORTER": "otlp",
        }
    )
    wait_until(lambda: UNMATCHED in sink.points, PATIENCE)
    ask(server, 3)
    assert server.terminate() == 0
    assert pushed(sink, 3)
    before = sink.points[UNMATCHED]
    server.start()
    wait_until(lambda: pushed(sink, 0), PATIENCE)
    assert sink.points[UNMATCHED].start > before.time - 1


KILLS = size(4, 100)


@pytest.mark.timeout(size(180, 1800))
def test_deltas_add_up_to_the_total(sink: OtlpSink, web_server: WebServerFactory) -> None:
    """Through lost answers, refusals for a while, deaths of the exporter, and a new start."""
    server = web_server({"OTEL_SDK_DISABLED": "true"})
    numbers, tried, answered = random.Random(5), 0, 0
    for _ in range(KILLS):
        with exporter(server, sink) as program:
            number = numbers.randrange(1, 30)
            tried += number
            answered += ask_of_a_busy_host(server, number)
            sink.behave(FAULTS[0], *[numbers.choice(FAULTS) for _ in range(6)])
            wait_until(partial(heard_more, sink, len(sink.requests)), PATIENCE)
            time.sleep(numbers.uniform(0, 2.5))
            program.kill()
    sink.behave()
    asked = server.metrics()[UNMATCHED]
    assert answered <= asked <= tried
    with exporter(server, sink):
        wait_until(lambda: sink.added(*UNMATCHED)[0] == asked, PATIENCE)
        time.sleep(1.5)
        assert_all_add_up(sink, server)
        assert sink.added(*UNMATCHED)[0] == asked
        assert server.metric("vibebox_otlp_points_total", result="accepted") > 0
        doubtful = server.metric("vibebox_otlp_points_total", result="doubtful")
        print(f"{asked} asked, {sink.double_points()} points twice, {doubtful} doubtful")
        assert 0 < sink.double_points() <= doubtful
    points = [point for series, its, point in sink.history if (series, its) == UNMATCHED]
    assert {point.temporality for point in points} == {1}
    spans = sorted({(point.start, point.time) for point in points})
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))

    # The directory is emptied by the next start, and its totals may be beyond the old ones at once.
    server.terminate()
    server.start()
    ask(server, more := int(asked) + 4)
    with exporter(server, sink):
        wait_until(lambda: sink.added(*UNMATCHED)[0] == asked + more, PATIENCE)


FAULTS = [Behaviour(loses_answer=True), Behaviour(503), Behaviour(), Behaviour(seconds=0.3)]


@contextmanager
def exporter(server: WebServer, sink: OtlpSink) -> Iterator[Program]:
    """Run `vibebox exporter` for what a server counts."""
    settings = {
        **server.env,
        "OTEL_SDK_DISABLED": "false",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{sink.url}/v1/metrics",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
    }
    command = [sys.executable, "-m", "app.cli", "exporter"]
    program = Program(
        command, server.log.with_name("exporter.log"), env=settings, cwd=ROOT, warm=True
    )
    program.start()
    try:
        yield program
    finally:
        program.stop()


def ask_of_a_busy_host(server: WebServer, number: int) -> int:
    """Ask, and return how often there was an answer."""
    answered = 0
    for _ in range(number):
        with suppress(requests.ConnectionError):
            ask(server, 1)
            answered += 1
    return answered


def heard_more(sink: OtlpSink, than: int) -> bool:
    return len(sink.requests) > than


def assert_all_add_up(sink: OtlpSink, server: WebServer) -> None:
    """All totals, as far as they do not move while we look."""
    before = server.metrics()
    sums = sink.sums()
    after = server.metrics()
    still = {
        sample: value
        for sample, value in before.items()
        if sample[0].endswith(("_total", "_bucket", "_count")) and after[sample] == value
    }
    assert len(still) > 500
    other = {one: (sums[one], value) for one, value in still.items() if sums[one] != value}
    # What was counted after the last push, while it looks as if nothing moved.
    assert {one: found for one, found in other.items() if "route" in dict(one[1])} == {}


def test_what_the_receiver_does_not_take_is_counted(
    sink: OtlpSink, web_server: WebServerFactory
) -> None:
    sink.behave(Behaviour(rejected=3), *[Behaviour(status=413)] * 5)
    server = web_server(
        {
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{sink.url}/v1/metrics",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        }
    )

    def counted(result: str) -> float:
        return server.metric("vibebox_otlp_points_total", result=result)

    wait_until(lambda: counted("rejected") == 3 and counted("refused") > 0, PATIENCE)
