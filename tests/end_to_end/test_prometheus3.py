"""Prometheus 3 reads protocol buffers: when totals began, and native histograms."""

import math
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from prometheus_client import CollectorRegistry

from prefork_metrics.exposition import Exposition
from prefork_metrics.registry import Registry
from tests.backends import http
from tests.backends.programs import wait_until
from tests.backends.prometheus import Prometheus
from tests.backends.prometheus_releases import RELEASES, Release
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory, require
from tests.prefork_metrics.processes import Other
from tests.support.metric_messages import ACCEPT, families, start

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(180)]
# No series of it is made beforehand.
BORN = {"method": "HEAD", "route": "/health/live"}
_LABELS = "{" + ",".join(f'{name}="{value}"' for name, value in BORN.items()) + "}"
HEADS = f"vibebox_http_requests_total{_LABELS}"
LATENCY = f"vibebox_http_request_duration_seconds{_LABELS}"
WINDOW = "10m"
"""Holds all of a test."""
SECONDS = 2
AMOUNTS = 3_000

releases = pytest.mark.parametrize(
    "release",
    [
        pytest.param(RELEASES["3.5"], id="3.5"),
        # Its build takes minutes.
        pytest.param(RELEASES["3.16"], id="3.16", marks=pytest.mark.full),
    ],
)


@releases
def test_increase_is_whole_from_the_first_event_and_over_a_restart(
    release: Release, web_server: WebServerFactory
) -> None:
    require("Prometheus 3", release.missing())
    server = web_server()
    target = f"127.0.0.1:{server.port}"
    interval = f"{SECONDS}s"
    with closing(Prometheus([target], scrape_interval=interval, release=release)) as prometheus:
        prometheus.wait_for("up == 1")
        after_a_scrape(prometheus)
        first = born(server, 7)
        prometheus.wait_for(f"count_over_time({HEADS}[1m]) >= 3")
        assert raw(prometheus) == [(first, 0.0), *following(prometheus, first, 7.0)]

        server.terminate()
        server.start()
        # A scrape that begins before the births and answers after them would be the older one.
        after_a_scrape(prometheus)
        second = born(server, 5)
        prometheus.wait_for(f"{HEADS} == 5")
        wait_until(lambda: len(following(prometheus, second, 5.0)) > 1, 30)
        shown = raw(prometheus)
        begins = [time for time, value in shown if value == 0]
        assert begins == [first, second]
        assert [value for time, value in shown if first < time < second][-1] == 7

        longest = extrapolated(shown)
        for query in (
            f"increase({HEADS}[{WINDOW}])",
            f"histogram_count(increase({LATENCY}[{WINDOW}]))",
            f"increase({LATENCY.replace('{', '_count{')}[{WINDOW}])",
        ):
            ((_, found),) = prometheus.query(query)
            assert 12 <= found <= 12 * longest * 1.001, query


def after_a_scrape(prometheus: Prometheus) -> None:
    """Wait for the next scrape's end: all that follows at once lies between two."""
    ((_, last),) = prometheus.query("timestamp(up)")
    prometheus.wait_for(f"timestamp(up) > {last}")


def born(server: WebServer, times: int) -> float:
    """Count a series that there was not, so many times; return its start as Prometheus keeps it."""
    for _ in range(times):
        assert http.request("HEAD", f"{server.url}/health/live").status_code == 200
    scrape = f"{server.url}/health/metrics"
    body = http.get(scrape, headers={"Accept": ACCEPT}).content
    (begun,) = [
        start(metric)
        for family in families(body)
        if family.name == "vibebox_http_requests_total"
        for metric in family.metric
        if BORN.items() <= {one.name: one.value for one in metric.label}.items()
    ]
    text = http.get(scrape, {"created": "true"}).text
    (line,) = [
        line
        for line in text.splitlines()
        if line.startswith("vibebox_http_requests_created" + _LABELS[:-1])
    ]
    assert float(line.split()[-1]) == pytest.approx(begun, abs=1e-6)
    assert "_created" not in http.get(scrape).text
    return math.floor(begun * 1000 + 1e-3) / 1000


def raw(prometheus: Prometheus) -> list[tuple[float, float]]:
    """Return what Prometheus has of the series: times and values."""
    ((_, samples),) = prometheus.history(HEADS, WINDOW)
    return sorted(samples.items())


def following(prometheus: Prometheus, begun: float, value: float) -> list[tuple[float, float]]:
    """Return the samples after a start: of this value, and on a slow machine some on the way."""
    found = [sample for sample in raw(prometheus) if sample[0] > begun]
    numbers = [number for _, number in found]
    assert numbers == sorted(numbers)
    assert numbers[-1:] in ([], [value])
    return found


def extrapolated(shown: list[tuple[float, float]]) -> float:
    """Return by how much increase() can exceed what was counted: it guesses what comes between the
    last sample and the window's end, for at most 1.1 of the time between two samples."""
    sampled = shown[-1][0] - shown[0][0]
    return 1 + 1.1 * sampled / (len(shown) - 1) / sampled


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Other]]:
    """Three processes with a native histogram."""
    directory = tmp_path / "metrics"
    directory.mkdir()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(directory))
    made = [Other() for _ in range(3)]
    for process in made:
        process.do("n = prefork_metrics.NativeHistogram('took', 'Help.', buckets=[0.1, 1])")
    yield made
    for process in made:
        process.end()


@pytest.fixture
def scraped(processes: list[Other]) -> Iterator[str]:
    """Answer scrapes of what the processes counted; return host and port."""
    exposition = Exposition(Registry("library", client=CollectorRegistry()))

    def application(environ: dict[str, Any], begin: Callable[..., Any]) -> list[bytes]:
        body, content_type = exposition.render(environ.get("HTTP_ACCEPT", ""))
        begin("200 OK", [("Content-Type", content_type)])
        return [body]

    class Quiet(WSGIRequestHandler):
        def log_message(self, *arguments: object) -> None: ...

    with make_server("127.0.0.1", 0, application, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@releases
def test_native_quantiles_are_the_generators(
    release: Release, processes: list[Other], scraped: str
) -> None:
    require("Prometheus 3", release.missing())
    chance = random.Random(7)
    amounts = sorted(chance.lognormvariate(-3, 1.2) for _ in range(AMOUNTS))
    chance.shuffle(amounts)
    share = AMOUNTS // len(processes)
    for number, process in enumerate(processes):
        part = amounts[number * share : (number + 1) * share]
        process.do(f"[n.observe(s) for s in {part}]")
    processes[0].kill()
    amounts.sort()
    scraper = Prometheus([scraped], metrics_path="/", scrape_interval="1s", release=release)
    with closing(scraper) as prometheus:
        prometheus.wait_for(f"histogram_count(took) == {AMOUNTS}")
        for quantile in (0.5, 0.9, 0.95, 0.99):
            ((_, found),) = prometheus.query(f"histogram_quantile({quantile}, took)")
            assert found == pytest.approx(amounts[int(quantile * AMOUNTS)], rel=0.05), quantile
        ((_, average),) = prometheus.query("histogram_avg(took)")
        assert average == pytest.approx(sum(amounts) / AMOUNTS, rel=1e-9)
        # The classic ones are there too, as they were.
        ((_, below),) = prometheus.query('took_bucket{le="0.1"}')
        assert below == sum(amount <= 0.1 for amount in amounts)
        ((_, target),) = prometheus.query('count({__name__=~"took.*"})')
        assert target == 6
