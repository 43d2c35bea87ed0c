"""A real Prometheus reads what the service counted."""

from collections.abc import Callable
from functools import partial

import pytest

from tests.backends import http
from tests.backends.prometheus import Prometheus, Vector, promtool
from tests.conftest import WebServerFactory
from tests.end_to_end.traffic import UNMATCHED, Kind, send_all

pytestmark = pytest.mark.end_to_end

# Gauges with a counter's suffix, which promtool refuses. Dashboards know the names, so they stay,
# and aliases without the suffix stand beside them.
KNOWN_GAUGES = {"vibebox_environments_total", "vibebox_sessions_total"}


def test_prometheus_reads_as_many_requests_as_were_sent(
    web_server: WebServerFactory, prometheus: Callable[..., Prometheus]
) -> None:
    server = web_server(workers=4)
    plan = {
        Kind("live", "GET", "/health/live", "/health/live", 200): 200,
        Kind("401", "GET", "/api/v1/auth/me", "/api/v1/auth/me", 401): 150,
        Kind("404", "GET", "/nothing", UNMATCHED, 404): 50,
    }
    before = server.metric("vibebox_http_requests_total", route="/health/live")
    send_all(server.port, plan)

    scraper = prometheus([f"127.0.0.1:{server.port}"])

    assert scraper.wait_for("up == 1")
    for kind, times in plan.items():
        selector = f'{{method="{kind.method}",route="{kind.route}",status_code="{kind.status}"}}'
        expected = [times + (before if kind.name == "live" else 0)]
        read = partial(values_are, expected)
        scraper.wait_for(f"vibebox_http_requests_total{selector}", read)
    (target,) = scraper.targets()
    assert target["lastError"] == ""


def values_are(expected: list[float], found: Vector) -> bool:
    return [value for _, value in found] == expected


def test_a_forwarded_scrape_needs_the_token(
    web_server: WebServerFactory, prometheus: Callable[..., Prometheus]
) -> None:
    server = web_server({"VIBEBOX_METRICS_TOKEN": "right-token"})

    def status(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return http.get(f"{server.url}/health/metrics", headers=named).status_code

    assert status() == 200
    assert status(X_Forwarded_For="127.0.0.1") == 403
    assert status(X_Forwarded_For="127.0.0.1", Authorization="Bearer wrong-token") == 403
    assert status(X_Forwarded_For="127.0.0.1", Authorization="Bearer right-token") == 200
    scraper = prometheus([f"127.0.0.1:{server.port}"], bearer_token="right-token")
    assert scraper.wait_for("up == 1")


def test_promtool_finds_nothing_but_the_gauges_of_the_seed(web_server: WebServerFactory) -> None:
    server = web_server()
    text = http.get(f"{server.url}/health/metrics").text

    complaints = promtool("check", "metrics", stdin=text)

    lines = (complaints.stdout + complaints.stderr).splitlines()
    assert {line.split()[0] for line in lines if line.strip()} <= KNOWN_GAUGES, lines
