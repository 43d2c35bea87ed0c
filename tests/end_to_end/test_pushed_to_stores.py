"""What is pushed is, in the real stores, what a scrape shows: sample by sample."""

import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Protocol

import pytest

from tests.backends import http, signal_stores
from tests.backends.programs import wait_until
from tests.backends.prometheus import Prometheus
from tests.backends.victoria_metrics import VictoriaMetrics
from tests.backends.web import Sample, WebServer
from tests.conftest import WebServerFactory, require

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]
PATIENCE = 30.0
OURS = '{__name__=~"vibebox_.+"}'


class Store(Protocol):
    """What metrics are pushed to."""

    url: str

    def history(self, selector: str) -> list[tuple[dict[str, str], dict[float, float]]]: ...


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    made: Callable[[], Prometheus | VictoriaMetrics] = VictoriaMetrics
    missing = VictoriaMetrics.installed()
    if request.param == "prometheus":
        made = _prometheus
        missing = signal_stores.missing("prometheus")
    require(f"{request.param} for OTLP", missing)
    with closing(made()) as store:
        yield store


def _prometheus() -> Prometheus:
    return Prometheus(
        [], flags=["--web.enable-otlp-receiver"], program=signal_stores.program("prometheus")
    )


PATHS = {
    "prometheus": "/api/v1/otlp/v1/metrics",
    "victoria-metrics": "/opentelemetry/v1/metrics",
}
FULL = {"prometheus": [pytest.mark.full]}  # its build takes minutes
in_both = pytest.mark.parametrize(
    ("store", "path"),
    [pytest.param(name, path, id=name, marks=FULL.get(name, [])) for name, path in PATHS.items()],
    indirect=["store"],
)


@in_both
def test_what_is_pushed_equals_the_scrape(
    store: Store, path: str, web_server: WebServerFactory
) -> None:
    server = web_server(settings(store, path, "cumulative"))
    work(server)

    # VictoriaMetrics keeps so many decimal places.
    exactly = 1e-12 if isinstance(store, VictoriaMetrics) else 0.0
    for _ in range(LOOKS):
        other = differing(server, store, exactly)
        assert {sample: found for sample, found in other.items() if is_total(sample)} == {}
        if not other:
            return
    pytest.fail(f"differs at each look: {other}")


LOOKS = 5
"""What goes up and down may do both between two looks, and look as if it had not moved."""
OF_THE_SCRAPE = {
    ("vibebox_client_connections", ("state", "serving")),
    ("vibebox_worker_threads", ("state", "busy")),
}
"""What a scrape makes of itself."""


def differing(
    server: WebServer, store: Store, exactly: float
) -> dict[Sample, tuple[float, float, float]]:
    """Return what is not the same in the store and in scrapes before and after the same push."""
    before = normal(server.metrics())
    pushed = samples_of(store, second_push_from_now(store))
    after = normal(server.metrics())
    assert set(before) <= set(pushed) <= set(after)
    still = {sample for sample in before if same(before[sample], after[sample])}
    assert len(still) > 0.9 * len(before)
    grown = {sample for sample in set(before) - still if is_total(sample)}
    assert grown
    most = 1 + exactly
    found = {one for one in still if not same(pushed[one], before[one], exactly)}
    found |= {one for one in grown if not before[one] <= pushed[one] * most <= after[one] * most**2}
    return {
        one: (before[one], pushed[one], after[one])
        for one in found
        if not any((one[0], label) in OF_THE_SCRAPE for label in one[1])
    }


def settings(store: Store, path: str, temporality: str) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{store.url}{path}",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": temporality,
    }


def work(server: WebServer) -> None:
    """Have something counted, also by a worker that is dead by now."""
    for round in range(2):
        for route in ("/nothing", "/health/live", "/api/v1/environments", "/console/"):
            for _ in range(5):
                http.get(f"{server.url}{route}")
        if not round:
            os.kill(server.worker_pids()[0], signal.SIGKILL)
            server.wait_live()


def second_push_from_now(store: Store) -> float:
    """Return the time of a push whose values were looked up after now."""
    now, found = time.time(), set[float]()

    def is_there() -> bool:
        for _, by_time in store.history('{__name__="vibebox_http_requests_total"}'):
            found.update(at for at in by_time if at > now)
        return len(found) >= 2

    wait_until(is_there, PATIENCE)
    return sorted(found)[1]


def samples_of(store: Store, at: float) -> dict[Sample, float]:
    """Return what was pushed at that time, with the labels that a scrape has."""
    found = {}

    def all_there() -> bool:
        found.update(
            {
                (name, frozenset(labels.items())): by_time[at]
                for (name, labels), by_time in map(_ours, store.history(OURS))
                if at in by_time
            }
        )
        # What a request of several bodies says last.
        return any(name == "vibebox_build_info" for name, _ in found)

    wait_until(all_there, PATIENCE)
    time.sleep(0.5)
    all_there()
    return normal(found)


def _ours(
    series: tuple[dict[str, str], dict[float, float]],
) -> tuple[tuple[str, dict[str, str]], dict[float, float]]:
    """Take off the labels that say whose it is."""
    labels = dict(series[0])
    whose = labels.pop("instance", "") or labels.pop("service.instance.id", "")
    assert len(whose) == 36
    assert (labels.pop("job", "") or labels.pop("service.name", "")) == "vibebox"
    for name in [name for name in labels if "." in name]:  # of the resource, and of the scope
        labels.pop(name)
    return (labels.pop("__name__"), labels), series[1]


def normal(samples: dict[Sample, float]) -> dict[Sample, float]:
    """Return them with bounds as numbers: 1 and 1.0 are the same."""
    return {
        (
            name,
            frozenset((key, str(float(value)) if key == "le" else value) for key, value in labels),
        ): found
        for (name, labels), found in samples.items()
    }


def same(one: float, other: float, exactly: float = 0.0) -> bool:
    both_none = math.isnan(one) and math.isnan(other)
    return both_none or math.isclose(one, other, rel_tol=exactly, abs_tol=0.0)


def is_total(sample: Sample) -> bool:
    return sample[0].endswith(("_total", "_bucket", "_count", "_sum"))


@pytest.mark.parametrize("store", ["prometheus"], indirect=True)
def test_a_store_that_takes_no_deltas_is_named_with_the_setting(
    store: Store, web_server: WebServerFactory
) -> None:
    """At the start, where the address tells; and by what it answers."""
    server = web_server(settings(store, PATHS["prometheus"], "delta"))
    wait_until(
        lambda: {"metrics may be refused", "metrics not taken"} <= set(told(server)), PATIENCE
    )
    wanted = "set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative"
    assert wanted in told(server)["metrics may be refused"]
    assert "invalid temporality" in told(server)["metrics not taken"]
    assert wanted in told(server)["metrics not taken"]


def told(server: WebServer) -> dict[str, str]:
    """Return why, by event."""
    return {str(line.get("event")): str(line.get("why")) for line in server.log_lines()}
