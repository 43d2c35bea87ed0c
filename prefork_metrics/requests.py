"""Counts HTTP requests: in flight while they last, once each when they are finished.

This is the hot path. What one kind of request (method, route, status) adds to is looked up once and
kept as a handle; a finished request then is one lock and a few additions. The lock is taken without
`with`, which costs twice as much.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from functools import cached_property

from prefork_metrics.directory.native_records import BOUNDS
from prefork_metrics.exchange import SWITCHING_PROTOCOLS, UNMATCHED, Exchange, Exchanges
from prefork_metrics.exemplars import Pairs
from prefork_metrics.native import of
from prefork_metrics.registry import Registry
from prefork_metrics.standard.requests import METHODS, OTHER_METHOD
from prefork_metrics.values import Value, store

UNMATCHED_STATUSES = (404, 405, 308)
"""What a router itself answers: no such path, another method's path, a missing slash."""
_REFUSED_STATUSES = (400, 408, 414, 431, 501, 505)
"""What a server refuses before there is a route; a request without a method is of OTHER_METHOD."""
_TIMEOUTS = (408, 504)
# A transfer coding, a version of HTTP: the client's choice, whatever their class says.
_NOT_SPOKEN = (501, 505)
EXEMPLAR_SECONDS = 1.0
"""A bucket's exemplar is renewed when it is older: Prometheus looks every few seconds, and a write
costs as much as all the counting."""

ExemplarOf = Callable[[Exchange], Pairs | None]
"""Returns what leads to a request, such as (("trace_id", "0af7…"),); None where nothing does."""


class RequestMetrics:
    """Counts the exchanges that it is told of.

    scrape_path: the scrape must not find itself among the requests in flight that it shows.
    without_queue: the beginning of the routes whose wait for a thread says nothing of the rest.
    exemplar: see `ExemplarOf`; without it buckets have no exemplars.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        scrape_path: str,
        without_queue: str | None = None,
        exemplar: ExemplarOf | None = None,
    ) -> None:
        self.registry = registry
        self.families = registry.requests
        self.exemplar = exemplar
        self._scrape_path = scrape_path
        self._without_queue = without_queue or scrape_path
        self._handles: dict[tuple[str, str, int, bool], _Handle | _UpgradeHandle] = {}
        self.active: Value = self.families.active.child()._value

    def watch(self, exchanges: Exchanges) -> None:
        """Count these exchanges from now on."""
        exchanges.on_start.append(self._start)
        exchanges.on_finish.append(self._finish)

    def create_expected(self, answers: Iterable[tuple[str, str, int]]) -> None:
        """Create at 0 the counters of these answers (method, route, status), and of the router's
        and the server's own: `rate()` sees the first event of what exists already."""
        for method, route, status in answers:
            self._create(method, route, status)
        for method in (*METHODS, OTHER_METHOD):
            for status in UNMATCHED_STATUSES:
                self._create(method, UNMATCHED, status)
        for status in _REFUSED_STATUSES:
            self._create(OTHER_METHOD, UNMATCHED, status)

    def queues(self, route: str, status: int) -> bool:
        """Tell whether the wait of such a request for a thread is one for all."""
        refused = route == UNMATCHED and status in _REFUSED_STATUSES
        return not route.startswith(self._without_queue) and not refused

    def note_wait(self, queued: float) -> None:
        """Count a wait for a thread; called under the store's lock."""
        bounds, buckets, total, native = self._waits
        native.file.doubles[native.index + bisect_left(BOUNDS, queued)] += 1.0
        bucket = buckets[bisect_left(bounds, queued)]
        bucket.file.doubles[bucket.index] += 1.0
        total.file.doubles[total.index] += queued

    @cached_property
    def _waits(self) -> tuple[list[float], list[Value], Value, Value]:
        """The values of the wait: there are none where no server tells of it."""
        waits = self.families.queue_wait.child()
        return waits._upper_bounds, waits._buckets, waits._sum, of(waits)

    def _start(self, exchange: Exchange) -> None:
        if exchange.path != self._scrape_path:
            lock, active = store.lock, self.active
            lock.acquire()
            try:
                active.file.doubles[active.index] += 1.0
            finally:
                lock.release()
            exchange.in_flight = True

    def _finish(self, exchange: Exchange) -> None:
        route = exchange.counted_as or exchange.route
        key = exchange.method, route, exchange.status, exchange.unhandled
        handle = self._handles.get(key) or self._handle(*key)
        handle.record(exchange)

    def _handle(
        self, method: str, route: str, status: int, unhandled: bool
    ) -> "_Handle | _UpgradeHandle":
        """Return the handle of a kind of request; a made-up method is never a key of its own."""
        if method not in METHODS:
            if method:  # what is no request has none
                self.registry.note_overflow(self.families.requests.name)
            method = OTHER_METHOD
        key = method, route, status, unhandled
        if key not in self._handles:
            upgraded = status == SWITCHING_PROTOCOLS
            self._handles[key] = (
                _UpgradeHandle(self, method, route) if upgraded else _Handle(self, *key)
            )
        return self._handles[key]

    def _create(self, method: str, route: str, status: int) -> None:
        families = self.families
        families.requests.child(method, route, str(status))
        if status >= 400:
            families.errors.child(error_type(status, False), route, str(status))
            if status == 500:
                families.errors.child(error_type(status, True), route, str(status))


class _Handle:
    """The values that one kind of request adds to."""

    __slots__ = (
        "_active",
        "_bounds",
        "_buckets",
        "_count",
        "_due",
        "_error",
        "_exemplar",
        "_native",
        "_note_wait",
        "_sum",
    )

    def __init__(
        self, metrics: RequestMetrics, method: str, route: str, status: int, unhandled: bool
    ) -> None:
        code, families = str(status), metrics.families
        histogram = families.duration.child(method, route, code)
        self._bounds: list[float] = histogram._upper_bounds
        self._buckets: list[Value] = histogram._buckets
        # When each bucket may take its next exemplar, by time.perf_counter().
        self._due = [0.0] * len(self._buckets)
        self._sum: Value = histogram._sum
        self._native = of(histogram)
        self._count: Value = families.requests.child(method, route, code)._value
        self._error: Value | None = None
        if status >= 400:
            kind = error_type(status, unhandled)
            self._error = families.errors.child(kind, route, code)._value
        self._active = metrics.active
        self._exemplar = metrics.exemplar
        self._note_wait = metrics.note_wait if metrics.queues(route, status) else None

    def record(self, exchange: Exchange) -> None:
        """Count a finished request."""
        seconds = exchange.seconds
        place = bisect_left(self._bounds, seconds)
        bucket = self._buckets[place]
        requests, total, error, active = self._count, self._sum, self._error, self._active
        native = self._native
        lock = store.lock
        lock.acquire()
        try:
            # Native buckets first, and no call for it: see `native`.
            native.file.doubles[native.index + bisect_left(BOUNDS, seconds)] += 1.0
            requests.file.doubles[requests.index] += 1.0
            bucket.file.doubles[bucket.index] += 1.0
            total.file.doubles[total.index] += seconds
            if self._note_wait is not None and exchange.knows_queue:
                self._note_wait(exchange.queued)
            if error is not None:
                error.file.doubles[error.index] += 1.0
            if exchange.in_flight:
                active.file.doubles[active.index] -= 1.0
        finally:
            lock.release()
        if self._exemplar is not None and exchange.started >= self._due[place]:
            # Also where there is none: of one kind of request all are logged, or none is.
            self._due[place] = exchange.started + EXEMPLAR_SECONDS
            if pairs := self._exemplar(exchange):
                store.put_exemplar(bucket, pairs, seconds)


class _UpgradeHandle:
    """As `_Handle`, of handshakes: how long one took says nothing beside other requests."""

    __slots__ = ("_active", "_count")

    def __init__(self, metrics: RequestMetrics, method: str, route: str) -> None:
        code = str(SWITCHING_PROTOCOLS)
        self._count: Value = metrics.families.requests.child(method, route, code)._value
        self._active = metrics.active

    def record(self, exchange: Exchange) -> None:
        """Count a handshake, whose connection is no request in flight any more."""
        with store.lock:
            self._count.file.doubles[self._count.index] += 1.0
            if exchange.in_flight:
                self._active.file.doubles[self._active.index] -= 1.0


def error_type(status: int, unhandled: bool) -> str:
    """Return the `type` label of a response of 400 and above."""
    if status in _TIMEOUTS:
        return "timeout"
    if unhandled:
        return "unhandled_exception"
    if status in _NOT_SPOKEN:
        return "client_error"
    return "client_error" if status < 500 else "server_error"
