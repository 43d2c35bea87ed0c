"""Counts the requests of any WSGI application, and answers its scrapes.

    from prefork_metrics.wsgi import PreforkMetrics
    application = PreforkMetrics(application, path="/metrics", prefix="shop")

An application tells the route of a request by `environ["prefork_metrics.route"]`: a value of its
own text, never a path as it came. Without that a request is `unmatched`.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prefork_metrics.exchange import ROUTE, Exchanges
from prefork_metrics.exposition import Collector, Exposition
from prefork_metrics.registry import Registry
from prefork_metrics.requests import ExemplarOf, RequestMetrics
from prefork_metrics.runtime.scrapes import scrapes

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_READING = ("GET", "HEAD")


class PreforkMetrics:
    """The application with its metrics; see `prefork_metrics.flask.PreforkMetrics`."""

    def __init__(
        self,
        application: "WSGIApplication",
        *,
        path: str = "/metrics",
        prefix: str = "app",
        registry: Registry | None = None,
        exemplar: ExemplarOf | None = None,
        collectors: Iterable[Collector] = (),
    ) -> None:
        self.registry = registry or Registry(prefix)
        self.registry.serve()
        self.exposition = Exposition(self.registry, collectors)
        self._application = application
        self._path = path
        self.exchanges = Exchanges(self._answer)
        metrics = RequestMetrics(self.registry, scrape_path=path, exemplar=exemplar)
        metrics.watch(self.exchanges)
        metrics.create_expected([("GET", path, 200)])

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        return self.exchanges(environ, start_response)

    def _answer(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != self._path or environ["REQUEST_METHOD"] not in _READING:
            return self._application(environ, start_response)
        environ[ROUTE] = self._path
        with scrapes.serve():
            body, content_type = self.exposition.render(environ.get("HTTP_ACCEPT", ""))
        headers = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
        start_response("200 OK", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
