"""A name among the alerts that fire leads to what the shipped Prometheus serves."""

from collections.abc import Callable

import pytest

from monitoring.grafana.generator.links import RUNBOOK
from monitoring.rules.sources import all_alerts
from tests.backends import http
from tests.backends.prometheus import Prometheus
from tests.monitoring.boards.known import ROOT

SERVED = "--web.user-assets="
RUNBOOKS = ROOT / "monitoring" / "runbooks"


@pytest.mark.integration
def test_runbooks_are_served_where_alerts_lead(prometheus: Callable[..., Prometheus]) -> None:
    _, proxied, path = RUNBOOK.partition("${datasource}")
    assert proxied
    server = prometheus([], flags=[f"{SERVED}{RUNBOOKS}"])
    for alert in all_alerts():
        answer = http.get(server.url + path.replace("${__value.raw}", alert.name))
        assert answer.status_code == 200, alert.name
        assert answer.text == (RUNBOOKS / f"{alert.name}.md").read_text()
        # A browser shows it, and does not store it.
        assert answer.headers["Content-Type"].startswith("text/")


def test_the_shipped_prometheus_serves_runbooks() -> None:
    """At the place in its container where Compose mounts them."""
    compose = (ROOT / "docker-compose.yml").read_text()
    (place,) = (line.partition(SERVED)[2] for line in compose.splitlines() if SERVED in line)
    assert f"- ./monitoring/runbooks:{place}:ro" in compose
