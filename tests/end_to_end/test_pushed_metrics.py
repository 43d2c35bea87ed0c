"""Metrics that are pushed are those of the scrape: one total of all processes, since one start."""

import os
import random
import signal
import time
from contextlib import suppress
from functools import partial
from itertools import pairwise

import psutil
import pytest

from tests.backends import http
from tests.backends.otlp_sink import Behaviour, OtlpSink
from tests.backends.programs import wait_until
from tests.backends.web import Sample, WebServer
from tests.conftest import WebServerFactory

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


def exporter_of(server: WebServer) -> psutil.Process | None:
    """Return the process that pushes; its parent only sees that there is one."""
    for process in psutil.Process(server.pid).children(recursive=True):
        with suppress(psutil.Error):
            if "exporter" in process.cmdline() and process.ppid() != server.pid:
                return process
    return None


def test_deltas_add_up_to_the_total(sink: OtlpSink, web_server: WebServerFactory) -> None:
    """Through lost answers, refusals for a while, deaths of the exporter, and a new start."""
    server = web_server(
        {
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{sink.url}/v1/metrics",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
        }
    )
    name, labels = UNMATCHED
    asked, numbers = 0, random.Random(5)
    for round in range(6):
        number = numbers.randrange(1, 30)
        ask(server, number)
        asked += number
        sink.behave(
            *[
                numbers.choice([Behaviour(loses_answer=True), Behaviour(503), Behaviour()])
                for _ in range(4)
            ]
        )
        time.sleep(numbers.uniform(0.2, 1.5))
        if (exporter := exporter_of(server)) is not None and round % 2:
            exporter.kill()
    sink.behave()
    wait_until(lambda: sink.added(name, labels)[0] == asked, PATIENCE)
    time.sleep(1.5)
    by_end, in_all = sink.added(name, labels)
    assert by_end == asked
    doubtful = server.metric("vibebox_otlp_points_total", result="doubtful")
    assert server.metric("vibebox_otlp_points_total", result="accepted") > 0
    assert (in_all > asked) <= (doubtful > 0)
    assert doubtful > 0
    points = [point for series, its, point in sink.history if (series, its) == UNMATCHED]
    assert {point.temporality for point in points} == {1}
    spans = sorted({(point.start, point.time) for point in points})
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))

    server.terminate()
    server.start()
    ask(server, 4)
    wait_until(lambda: sink.added(name, labels)[0] == asked + 4, PATIENCE)


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
