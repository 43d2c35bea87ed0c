"""One HTTP exchange, from the call of the application to the moment its response is closed.

Flask's after_request runs before a streamed body is sent, and not every response object reports
its end; the WSGI server however closes what the application returned exactly once (PEP 3333), also
when the client went away in the middle. So what the application returns is wrapped, and the wrapper
tells the subscribers when the exchange is over. Telemetry and the access log subscribe.

A WebSocket's handshake is a request, the WebSocket is not: once it is answered with 101 the
exchange is over, though the server asks for the body for as long as the WebSocket lasts.

A server may leave a `ServedRequest` with the socket that it hands over: since when the request
could have been served, and for how long its client was waited for since. What an exchange takes is
its wait for a thread and the work on it, and nothing that its client takes. Without one (the
workers that gunicorn brings along) an exchange begins with the call of the application.

This stands in the path of every request. That is why there is one object for the exchange and its
body, and no hook of a framework: calling one costs as much as counting a request does. For the same
reason the loop over subscribers is written out where it is needed.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import chain
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

UNMATCHED = "unmatched"
SWITCHING_PROTOCOLS = 101
SOCKET = "gunicorn.socket"
"""Where the server leaves the socket to the client."""
ROUTE = "prefork_metrics.route"
"""Where an application that is not werkzeug's leaves its route, one of closed values."""
_KEY = "prefork_metrics.exchange"
# Where werkzeug leaves its request object, which knows the rule that matched, until Flask is done.
_REQUEST = "werkzeug.request"
# An application may make up reasons behind the numbers.
_MOST_STATUSES = 256
_log = logging.getLogger(__name__)


class ServedRequest(Protocol):
    """What a server notes of a request, for as long as it is served.

    Attributes: ready (when the whole request was there, by time.perf_counter()), waited (seconds
    for which a thread then waited for the client), large (whether the body is awaited in the
    thread), check (called while it is), lasting (it takes long by design), seen (the application
    knows of it), request_id (of a request that the application could not answer).
    """

    ready: float
    waited: float
    large: bool
    lasting: bool
    seen: bool
    request_id: str
    check: Callable[[int], None] | None


class Exchange:
    """What is known of a request, and the body of its response: iterate it, and close it once.

    `status`, `route` and `endpoint` are set when the response starts, `seconds` when it is over.
    `route` is the URL rule, never the path: a label or a log field of closed values. `status` is
    the one sent or, where the client went away before it was sent, the intended one. `seconds` is
    from when the request could have been served, without `client_seconds`, in which its client was
    waited for; `queued` of them it waited for a thread, where the server tells (`knows_queue`).
    `problem` is the slug of what the server refused without asking the application. `counted_as`
    is what metrics have in the place of the route, where the application sets it, to one of few
    values. `environ` is there until the response starts.
    """

    # Set all at once below: looking a default up in the class costs more than it does to set it.
    __slots__ = (
        "_on_finish",
        "_ready",
        "_served",
        "_start_response",
        "body",
        "client_seconds",
        "counted_as",
        "endpoint",
        "environ",
        "in_flight",
        "knows_queue",
        "logged",
        "method",
        "parent",
        "path",
        "problem",
        "queued",
        "request_id",
        "route",
        "seconds",
        "started",
        "status",
        "trace",
        "trace_id",
        "unhandled",
    )

    def __init__(
        self,
        environ: "WSGIEnvironment",
        start_response: "StartResponse",
        on_finish: "list[Subscriber]",
    ) -> None:
        self.started = started = perf_counter()
        peer = environ.get(SOCKET)
        self._served = served = None if peer is None else _served(peer)
        self._ready = ready = started if served is None else served.ready
        self.queued = started - ready
        self.knows_queue = served is not None
        self.method: str = environ["REQUEST_METHOD"]
        self.path: str = environ.get("PATH_INFO", "")
        self.route = UNMATCHED
        self.endpoint: str | None = None
        self.status = 500  # what the server answers when the application raises
        self.unhandled = False
        self.request_id = self.trace_id = self.problem = self.counted_as = ""
        self.logged = False  # whether the log has a line that names these two
        self.in_flight = False  # whether telemetry counts it as being served now
        self.parent: object | None = None  # what the caller said of the trace that it is part of
        self.trace: object | None = None  # what a subscriber that traces keeps of it
        self.seconds = self.client_seconds = 0.0
        self.body: Iterable[bytes] = ()
        self.environ: WSGIEnvironment | None = environ
        self._start_response = start_response
        self._on_finish: list[Subscriber] | None = on_finish

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        """Note the status on its way to the server, and the rule that led to it."""
        # Let go of at once: it holds this object too, and a circle would wait for the collector.
        environ, self.environ = self.environ, None
        matched = environ.get(_REQUEST) if environ else None
        if matched is not None:
            if (rule := matched.url_rule) is not None:
                self.route = rule.rule
                self.endpoint = rule.endpoint
        elif environ:
            self.route = environ.get(ROUTE, UNMATCHED)
        write = self._start_response(status, headers, exc_info)
        self.status = code = _code(status)
        if code == SWITCHING_PROTOCOLS:
            self.lasts()
            self.end()
        return write

    def __iter__(self) -> Iterator[bytes]:
        pieces = iter(self.body)
        try:
            first = next(pieces)
        except StopIteration:
            return pieces
        except Exception:
            self.fail()
            raise
        return chain((first,), pieces)

    def lasts(self) -> None:
        """Note that this request holds its thread for long by design."""
        if self._served is not None:
            self._served.lasting = True

    @property
    def lasting(self) -> bool:
        """Whether it takes long by design."""
        return self._served is not None and self._served.lasting

    @property
    def awaits_body(self) -> bool:
        """Whether reading the body may mean to wait for the client."""
        return self._served is None or self._served.large

    def check_while_reading(self, check: Callable[[int], None]) -> None:
        """Have the wait for the body's bytes call `check` at least every second.

        It is called in the request's thread with the number of bytes that have come; what it
        raises, the read of the body raises.
        """
        if self._served is not None:
            self._served.check = check

    def fail(self) -> None:
        """Note that the application has failed before anything was sent: the server answers 500."""
        self.status = 500
        self.unhandled = True
        if self._served is not None:
            self._served.request_id = self.request_id

    def close(self) -> None:
        """Close the body and end the exchange, once, whatever happened before."""
        try:
            close = getattr(self.body, "close", None)
            if close is not None:
                close()
        finally:
            self.end()

    def end(self) -> None:
        """Tell that the exchange is over; only the first call does."""
        self.environ = None
        on_finish, self._on_finish = self._on_finish, None
        if on_finish is not None:
            seconds = perf_counter() - self._ready
            if self._served is not None:
                self.client_seconds = waited = self._served.waited
                seconds -= waited
            self.seconds = seconds
            for subscriber in on_finish:
                try:
                    subscriber(self)
                except Exception:
                    _log.exception("exchange subscriber failed")


Subscriber = Callable[[Exchange], None]


class Exchanges:
    """Wraps a WSGI application, and is one.

    Subscribers are called in the order in which they were added: `on_start` before anything is
    known but method and path, `on_finish` exactly once for each exchange that started. One that
    raises is logged; the request goes on.
    """

    def __init__(self, application: "WSGIApplication") -> None:
        self.on_start: list[Subscriber] = []
        self.on_finish: list[Subscriber] = []
        self._application = application

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        exchange = environ[_KEY] = Exchange(environ, start_response, self.on_finish)
        for subscriber in self.on_start:
            try:
                subscriber(exchange)
            except Exception:
                _log.exception("exchange subscriber failed")
        try:
            exchange.body = self._application(environ, exchange.start_response)
        except BaseException:
            exchange.fail()
            exchange.end()
            raise
        return exchange

    def note(self, method: str, path: str, status: int, problem: str, request_id: str) -> None:
        """Tell the subscribers of a request that the server has refused, and why (a slug)."""
        exchange = Exchange({"REQUEST_METHOD": method, "PATH_INFO": path}, _unused, self.on_finish)
        exchange.status = status
        exchange.problem = problem
        exchange.request_id = request_id
        exchange.end()


def exchange_of(environ: "WSGIEnvironment") -> Exchange:
    """Return the exchange of a request, by its environment."""
    exchange: Exchange = environ[_KEY]
    return exchange


@lru_cache(_MOST_STATUSES)
def _code(status: str) -> int:
    """Return the number that a status line begins with."""
    return int(status[:3])


def _served(peer: object) -> ServedRequest | None:
    """Return what the server notes of a socket's request, and tell it that it is seen."""
    served: ServedRequest | None = getattr(peer, "request", None)
    if served is not None:
        served.seen = True
    return served


def _unused(_status: str, _headers: Any, _exc_info: Any = None) -> Any:
    """Stand where a server's start_response would: what is refused is not answered by us."""
