"""Counts HTTP requests: in flight while they last, once each when they are finished."""

from collections.abc import Iterable, Mapping

from flask import Flask

from app.exchange import UNMATCHED, Exchange, Exchanges
from app.telemetry.catalogue import (
    METHODS,
    OTHER_METHOD,
    active_connections,
    api_errors,
    http_request_duration,
    http_requests,
    label_overflow,
)

# The scrape must not find itself among the requests that it shows.
SCRAPE_ENDPOINT = "health.metrics"
# What the router itself answers: no such path, another method's path, a missing slash.
_UNMATCHED_STATUSES = (404, 405, 308)
_TIMEOUTS = (408, 504)


def init_app(
    app: Flask, exchanges: Exchanges, documented: Mapping[tuple[str, str], Iterable[int]]
) -> None:
    """Count the exchanges of `app`; `documented` maps (method, rule) to its statuses."""
    exchanges.on_start.append(_start)
    exchanges.on_finish.append(_finish)
    _create_expected(app, documented)


def error_type(status: int, unhandled: bool) -> str:
    """Return the `type` label of a response of 400 and above."""
    if status in _TIMEOUTS:
        return "timeout"
    if unhandled:
        return "unhandled_exception"
    return "client_error" if status < 500 else "server_error"


def _start(exchange: Exchange) -> None:
    if exchange.endpoint != SCRAPE_ENDPOINT:
        active_connections.child().inc()
        exchange.in_flight = True


def _finish(exchange: Exchange) -> None:
    if exchange.in_flight:
        active_connections.child().dec()
    method = exchange.method
    if method not in METHODS:
        method = OTHER_METHOD
        label_overflow.child(http_requests.name).inc()
    status = str(exchange.status)
    http_requests.child(method, exchange.route, status).inc()
    http_request_duration.child(method, exchange.route, status).observe(exchange.seconds)
    if exchange.status >= 400:
        kind = error_type(exchange.status, exchange.unhandled)
        api_errors.child(kind, exchange.route, status).inc()


def _create_expected(app: Flask, documented: Mapping[tuple[str, str], Iterable[int]]) -> None:
    """Create the counters of every answer that a route documents, and of the router's own."""
    for rule in app.url_map.iter_rules():
        for method in rule.methods or ():
            for status in documented.get((method, rule.rule), (200,)):
                _create(method, rule.rule, status)
    for method in (*METHODS, OTHER_METHOD):
        for status in _UNMATCHED_STATUSES:
            _create(method, UNMATCHED, status)


def _create(method: str, route: str, status: int) -> None:
    http_requests.child(method, route, str(status))
    if status >= 400:
        api_errors.child(error_type(status, False), route, str(status))
        if status == 500:
            api_errors.child(error_type(status, True), route, str(status))
