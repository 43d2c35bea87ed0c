"""From a bucket in Prometheus to the line in the log, whichever worker wrote both."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.backends import http
from tests.backends.prometheus import Prometheus
from tests.backends.web import WebServer
from tests.conftest import shared
from tests.sizes import size

pytestmark = pytest.mark.end_to_end

WORKERS = 4
SCRAPE_SECONDS = 0.6
"""A little more than the test's Prometheus waits between two scrapes."""
OUT_OF_ORDER = "prometheus_target_scrapes_exemplar_out_of_order_total"
BUCKETS = "vibebox_http_request_duration_seconds_bucket"
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def exemplars(server: WebServer) -> dict[str, dict[str, str]]:
    """Return the exemplars by the route of their series, as the reference parser reads them."""
    response = http.get(f"{server.url}/health/metrics", headers=OPENMETRICS)
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    return {
        sample.labels["route"]: dict(sample.exemplar.labels)
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
        if sample.exemplar and sample.name == BUCKETS
    }


def logged(server: WebServer, field: str) -> set[str]:
    return {line[field] for line in server.log_lines() if field in line}


def send(server: WebServer, requests: int) -> None:
    """Send requests from several clients, so that every worker answers some."""
    start = threading.Barrier(8)

    def some(_: int) -> None:
        start.wait()
        for _ in range(requests // 8):
            assert http.get(f"{server.url}/api/v1/auth/me").status_code == 401

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(some, range(8)))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    directory = tmp_path_factory.mktemp("exemplars")
    with WebServer(directory, workers=WORKERS) as server, shared(server):
        yield server


@pytest.mark.timeout(400)
def test_every_exemplar_in_prometheus_leads_to_a_log_line(
    server: WebServer, prometheus: Callable[..., Prometheus]
) -> None:
    send(server, 400)
    traced = http.get(
        f"{server.url}/nowhere", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    )
    assert traced.status_code == 404
    scraper = prometheus(
        [f"127.0.0.1:{server.port}"],
        scrape_interval="500ms",
        flags=["--enable-feature=exemplar-storage"],
    )
    scraper.wait_for("up == 1")

    shown = scraper.exemplars(BUCKETS)

    routes = {series["seriesLabels"]["route"] for series in shown}
    assert routes >= {"/api/v1/auth/me", "unmatched"}
    found = [found for series in shown for found in series["exemplars"]]
    assert {"trace_id": TRACE} in [one["labels"] for one in found]
    check_logged(server, [one["labels"] for one in found])
    replace_workers(server, size(4, 100))
    # A counter of Prometheus' own: it refuses an exemplar that is not newer than the last.
    metrics = http.get(f"{scraper.url}/metrics").text
    refused = [line for line in metrics.splitlines() if line.startswith(OUT_OF_ORDER)]
    assert refused == [f"{OUT_OF_ORDER} 0"]


def replace_workers(server: WebServer, number: int) -> None:
    """Kill workers that have exemplars, one at a time; Prometheus sees each time without it."""
    for _ in range(number):
        send(server, 80)
        time.sleep(SCRAPE_SECONDS)
        replace_one(server)
        time.sleep(SCRAPE_SECONDS)


def replace_one(server: WebServer) -> None:
    killed = server.worker_pids()[0]
    os.kill(killed, signal.SIGKILL)
    server.wait_for_workers(lambda now: len(now) == WORKERS and killed not in now)


def check_logged(server: WebServer, labels: list[dict[str, Any]]) -> None:
    ids = {"request_id": logged(server, "request_id"), "trace_id": logged(server, "trace_id")}
    assert labels
    for named in labels:
        ((label, id),) = named.items()
        assert id in ids[label]


def test_exemplars_of_all_workers_reach_every_scrape(server: WebServer) -> None:
    send(server, 400)

    seen = [exemplars(server) for _ in range(12)]

    assert all(one == seen[0] for one in seen)
    check_logged(server, list(seen[0].values()))
    # Text format has none, and no line is lost for it.
    plain = http.get(f"{server.url}/health/metrics").text
    assert " # {" not in plain
