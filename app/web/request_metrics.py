"""Counts HTTP requests: in flight while they last, once each when they are finished.

This is the hot path. What one kind of request (method, route, status) adds to is looked up once and
kept as a handle; a finished request then is one lock and a few additions.
"""

import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping

from flask import Flask

from app.metrics.catalogue import (
    METHODS,
    OTHER_METHOD,
    active_connections,
    api_errors,
    http_queue_wait,
    http_request_duration,
    http_requests,
    label_overflow,
)
from app.metrics.exemplars import Exemplar
from app.metrics.values import Value, store
from app.web.exchange import SWITCHING_PROTOCOLS, UNMATCHED, Exchange, Exchanges

# The scrape must not find itself among the requests that it shows.
SCRAPE_PATH = "/health/metrics"
# Probes and scrapes have threads of their own: that they wait for none says nothing of the rest.
_NOT_QUEUED = "/health"
# What the router itself answers: no such path, another method's path, a missing slash.
_UNMATCHED_STATUSES = (404, 405, 308)
# What the server refuses before there is a route; a request without a method is of the OTHER.
_REFUSED_STATUSES = (400, 408, 414, 431, 501, 505)
_TIMEOUTS = (408, 504)
# A transfer coding, a version of HTTP: the client's choice, whatever their class says.
_NOT_SPOKEN = (501, 505)
# Flask answers these beside the methods that a rule names. Nobody waits for their first failure,
# and rows for every answer of every route would be a quarter of a scrape: made on first use.
_IMPLIED = frozenset({"HEAD", "OPTIONS"})
# A bucket's exemplar is renewed when it is older: Prometheus looks every few seconds, and a write
# costs as much as all the counting.
EXEMPLAR_SECONDS = 1.0


class _Handle:
    """The values that one kind of request adds to."""

    __slots__ = ("_bounds", "_buckets", "_count", "_due", "_error", "_queues", "_sum")

    def __init__(self, method: str, route: str, status: int, unhandled: bool) -> None:
        code = str(status)
        histogram = http_request_duration.child(method, route, code)
        self._bounds: list[float] = histogram._upper_bounds
        self._buckets: list[Value] = histogram._buckets
        # When each bucket may take its next exemplar, by time.perf_counter().
        self._due = [0.0] * len(self._buckets)
        self._sum: Value = histogram._sum
        self._count: Value = http_requests.child(method, route, code)._value
        self._error: Value | None = None
        if status >= 400:
            kind = error_type(status, unhandled)
            self._error = api_errors.child(kind, route, code)._value
        refused = route == UNMATCHED and status in _REFUSED_STATUSES
        self._queues = not route.startswith(_NOT_QUEUED) and not refused

    def record(self, exchange: Exchange) -> None:
        """Count a finished request."""
        seconds = exchange.seconds
        place = bisect_left(self._bounds, seconds)
        bucket = self._buckets[place]
        count, total, error = self._count, self._sum, self._error
        with store.lock:
            count.file.doubles[count.index] += 1.0
            bucket.file.doubles[bucket.index] += 1.0
            total.file.doubles[total.index] += seconds
            if self._queues:
                _note_wait(exchange.queued)
            if error is not None:
                error.file.doubles[error.index] += 1.0
            if exchange.in_flight:
                _active.file.doubles[_active.index] -= 1.0
        if exchange.logged and exchange.started >= self._due[place]:
            self._due[place] = exchange.started + EXEMPLAR_SECONDS
            _exemplify(bucket, exchange)


class _UpgradeHandle:
    """As `_Handle`, of handshakes: how long one took says nothing beside other requests."""

    __slots__ = ("_count",)

    def __init__(self, method: str, route: str) -> None:
        code = str(SWITCHING_PROTOCOLS)
        self._count: Value = http_requests.child(method, route, code)._value

    def record(self, exchange: Exchange) -> None:
        """Count a handshake, whose connection is no request in flight any more."""
        with store.lock:
            self._count.file.doubles[self._count.index] += 1.0
            if exchange.in_flight:
                _active.file.doubles[_active.index] -= 1.0


def _note_wait(queued: float) -> None:
    """Count a wait for a thread; called under the lock."""
    bucket = _wait_buckets[bisect_left(_wait_bounds, queued)]
    bucket.file.doubles[bucket.index] += 1.0
    _wait_sum.file.doubles[_wait_sum.index] += queued


_waits = http_queue_wait.child()
_wait_bounds: list[float] = _waits._upper_bounds
_wait_buckets: list[Value] = _waits._buckets
_wait_sum: Value = _waits._sum
_active: Value = active_connections.child()._value
_handles: dict[tuple[str, str, int, bool], _Handle | _UpgradeHandle] = {}


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
    if status in _NOT_SPOKEN:
        return "client_error"
    return "client_error" if status < 500 else "server_error"


def _start(exchange: Exchange) -> None:
    if exchange.path != SCRAPE_PATH:
        with store.lock:
            _active.file.doubles[_active.index] += 1.0
        exchange.in_flight = True


def _finish(exchange: Exchange) -> None:
    key = exchange.method, exchange.route, exchange.status, exchange.unhandled
    handle = _handles.get(key) or _handle(*key)
    handle.record(exchange)


def _exemplify(bucket: Value, exchange: Exchange) -> None:
    """Let the bucket lead to the log line of this request."""
    label, id = (
        ("trace_id", exchange.trace_id)
        if exchange.trace_id
        else ("request_id", exchange.request_id)
    )
    store.put_exemplar(bucket, Exemplar(label, id, exchange.seconds, time.time()))


def _handle(method: str, route: str, status: int, unhandled: bool) -> _Handle | _UpgradeHandle:
    """Return the handle of a kind of request; a made-up method is never a key of its own."""
    if method not in METHODS:
        if method:  # what is no request has none
            label_overflow.child(http_requests.name).inc()
        method = OTHER_METHOD
    key = method, route, status, unhandled
    if key not in _handles:
        upgraded = status == SWITCHING_PROTOCOLS
        _handles[key] = _UpgradeHandle(method, route) if upgraded else _Handle(*key)
    return _handles[key]


def _create_expected(app: Flask, documented: Mapping[tuple[str, str], Iterable[int]]) -> None:
    """Create the counters of every answer that a route documents, and of the router's own."""
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - _IMPLIED:
            for status in documented.get((method, rule.rule), (200,)):
                _create(method, rule.rule, status)
    for method in (*METHODS, OTHER_METHOD):
        for status in _UNMATCHED_STATUSES:
            _create(method, UNMATCHED, status)
    for status in _REFUSED_STATUSES:
        _create(OTHER_METHOD, UNMATCHED, status)


def _create(method: str, route: str, status: int) -> None:
    http_requests.child(method, route, str(status))
    if status >= 400:
        api_errors.child(error_type(status, False), route, str(status))
        if status == 500:
            api_errors.child(error_type(status, True), route, str(status))
