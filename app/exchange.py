"""One HTTP exchange, from the first hook to the moment its response is closed.

Flask's after_request runs before a streamed body is sent, and not every response object reports
its end; the WSGI server however closes what the application returned exactly once, also when the
client went away in the middle. So the hooks note what is known of the request, and a thin WSGI
wrapper tells the subscribers when it is over. Telemetry and the access log subscribe.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, got_request_exception, request

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

UNMATCHED = "unmatched"
_KEY = "vibebox.exchange"
_log = logging.getLogger(__name__)


class Exchange:
    """What is known of a request; `seconds` is set when it is finished.

    `status` is the one sent or, where the client went away before it was sent, the intended one.
    `route` is the URL rule, never the path: a label or a log field of closed values.
    """

    __slots__ = (
        "endpoint",
        "in_flight",
        "method",
        "path",
        "route",
        "seconds",
        "started",
        "status",
        "unhandled",
    )

    def __init__(self, environ: "WSGIEnvironment") -> None:
        self.started = time.perf_counter()
        self.method: str = environ["REQUEST_METHOD"]
        self.path: str = environ.get("PATH_INFO", "")
        self.route = UNMATCHED
        self.endpoint: str | None = None
        self.status = 500  # what the server answers when the application raises
        self.unhandled = False
        self.in_flight = False  # whether telemetry counts it as being served now
        self.seconds = 0.0


Subscriber = Callable[[Exchange], None]


class Exchanges:
    """Registers the before/after request hooks of `app` and wraps its WSGI callable.

    Subscribers are called in the order in which they were added: `on_start` once routing is done,
    `on_finish` exactly once for each exchange that started. One that raises is logged; the
    request goes on.
    """

    def __init__(self, app: Flask) -> None:
        self.on_start: list[Subscriber] = []
        self.on_finish: list[Subscriber] = []
        self._wsgi_app: WSGIApplication = app.wsgi_app
        app.wsgi_app = self  # type: ignore[method-assign]
        app.before_request(self._before)
        app.after_request(self._after)
        got_request_exception.connect(_note_unhandled, app)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        exchange = environ[_KEY] = Exchange(environ)
        try:
            body = self._wsgi_app(environ, start_response)
        except BaseException:
            exchange.unhandled = True
            self._finish(exchange)
            raise
        return _Closing(body, exchange, self._finish)

    def _before(self) -> None:
        # The proxy is resolved once: each access through it costs more than counting does.
        incoming = request._get_current_object()  # type: ignore[attr-defined]
        exchange: Exchange = incoming.environ[_KEY]
        rule = incoming.url_rule
        if rule is not None:
            exchange.route = rule.rule
            exchange.endpoint = rule.endpoint
        _notify(self.on_start, exchange)

    def _after(self, response: Response) -> Response:
        current().status = response.status_code
        return response

    def _finish(self, exchange: Exchange) -> None:
        exchange.seconds = time.perf_counter() - exchange.started
        _notify(self.on_finish, exchange)


class _Closing:
    """The response body; `close` ends the exchange, once, whatever happened before."""

    __slots__ = ("_body", "_exchange", "_finish")

    def __init__(self, body: Iterable[bytes], exchange: Exchange, finish: Subscriber) -> None:
        self._body = body
        self._exchange: Exchange | None = exchange
        self._finish = finish

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            exchange, self._exchange = self._exchange, None
            if exchange is not None:
                self._finish(exchange)


def current() -> Exchange:
    """Return the exchange of the request being handled."""
    exchange: Exchange = request.environ[_KEY]
    return exchange


def _note_unhandled(_sender: Flask, **_arguments: Any) -> None:
    current().unhandled = True


def _notify(subscribers: list[Subscriber], exchange: Exchange) -> None:
    for subscriber in subscribers:
        try:
            subscriber(exchange)
        except Exception:
            _log.exception("exchange subscriber failed")
