"""The library in a Flask application, without a server: what is counted, and what is shown."""

from collections.abc import Iterator

import pytest
from flask import Flask, request
from prometheus_client import Counter
from prometheus_client.parser import text_string_to_metric_families

from prefork_metrics import values
from prefork_metrics.exchange import exchange_of
from prefork_metrics.flask import PreforkMetrics
from prefork_metrics.registry import Registry
from prefork_metrics.values import Store


@pytest.fixture(autouse=True)
def own_values(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test begins at 0."""
    monkeypatch.setattr(values, "store", Store())
    monkeypatch.setattr("prefork_metrics.requests.store", values.store)
    yield


def build(prefix: str = "shop") -> Flask:
    app = Flask("shop")

    @app.get("/orders/<kind>")
    def order(kind: str) -> str:
        return kind

    @app.get("/bug")
    def bug() -> str:
        raise RuntimeError("bug")

    PreforkMetrics(app, prefix=prefix)
    return app


def shown(app: Flask) -> dict[tuple[str, ...], float]:
    answer = app.test_client().get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.get_data(as_text=True))
        for sample in family.samples
    }


def test_requests_are_counted_by_rule_and_status() -> None:
    app = build()
    client = app.test_client()
    for path in ("/orders/a", "/orders/b", "/bug", "/nowhere"):
        client.get(path).close()

    found = shown(app)
    requests = "shop_http_requests_total"
    assert found[requests, "GET", "/orders/<kind>", "200"] == 2
    assert found[requests, "GET", "/bug", "500"] == 1
    assert found[requests, "GET", "unmatched", "404"] == 1
    assert found[requests, "GET", "/metrics", "200"] == 0, "a scrape does not show itself"
    assert found["shop_api_errors_total", "/bug", "500", "unhandled_exception"] == 1
    assert found[("shop_active_connections",)] == 0
    assert not [name for name in found if name[0].startswith("shop_http_queue_wait")]


def test_application_may_count_a_request_apart() -> None:
    app = build()

    @app.before_request
    def apart() -> None:
        if request.headers.get("X-Probe"):
            exchange_of(request.environ).counted_as = "probes"

    client = app.test_client()
    for headers in ({}, {"X-Probe": "1"}):
        client.get("/orders/a", headers=headers).close()
        client.get("/bug", headers=headers).close()
    found = shown(app)
    for route in ("/orders/<kind>", "probes"):
        assert found["shop_http_requests_total", "GET", route, "200"] == 1
        assert found["shop_http_request_duration_seconds_count", "GET", route, "200"] == 1
    for route in ("/bug", "probes"):
        assert found["shop_api_errors_total", route, "500", "unhandled_exception"] == 1


def test_an_application_can_be_built_again() -> None:
    first, second = build("again"), build("again")
    first.test_client().get("/orders/a").close()
    assert shown(second)["again_http_requests_total", "GET", "/orders/<kind>", "200"] == 1


def test_metrics_of_the_client_library_are_shown_beside() -> None:
    Counter("beside_orders", "Orders.").inc(3)
    assert shown(build())[("beside_orders_total",)] == 3


def test_families_of_an_own_registry_have_closed_labels() -> None:
    registry = Registry("own")
    family = registry.counter("orders_total", "Orders.", {"kind": ("book", "other")})
    app = Flask("own")
    PreforkMetrics(app, registry=registry)
    family.child("book").inc()
    family.child("film").inc()
    found = shown(app)
    assert found["own_orders_total", "book"] == found["own_orders_total", "other"] == 1
    assert found["own_metrics_label_overflow_total", "own_orders_total"] == 1
    family.remove("book")
    assert ("own_orders_total", "book") not in shown(app)
    assert "| `own_orders_total` | counter | kind |" in registry.reference_table()


@pytest.mark.parametrize("prefix", ["", "my-shop", "7shop", "shop\n"])
def test_prefix_that_cannot_begin_a_name_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="cannot begin the name of a metric"):
        Registry(prefix)


def test_route_that_is_taken_is_refused() -> None:
    with pytest.raises(ValueError, match="has a route /metrics already"):
        PreforkMetrics(build(), prefix="shop")
