"""Counts the requests of a Flask application, and answers its scrapes.

from prefork_metrics.flask import PreforkMetrics
PreforkMetrics(app, path="/metrics", prefix="shop")
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flask import Flask, Response, got_request_exception, request

from prefork_metrics.exchange import Exchange, Exchanges, exchange_of
from prefork_metrics.exposition import Collector, Exposition
from prefork_metrics.registry import Registry
from prefork_metrics.requests import ExemplarOf, RequestMetrics
from prefork_metrics.runtime.scrapes import scrapes

_ENDPOINT = "prefork_metrics"
# Flask answers these beside the methods that a rule names: made on first use.
_IMPLIED = frozenset({"HEAD", "OPTIONS"})


class PreforkMetrics:
    """The metrics of one application; make it when all routes are registered, or call `ready`.

    path: the route of the scrape, which anybody may ask for; None: the application has one of its
    own, which calls `response`. prefix: of all names; or `registry`, where the application has
    families of its own. exemplar: see `prefork_metrics.requests.ExemplarOf`. collectors: parts of
    the scrape that the application adds.

    Attributes: registry, exchanges, exposition.
    Raises: ValueError where the application has such a route already.
    """

    def __init__(
        self,
        app: Flask,
        *,
        path: str | None = "/metrics",
        prefix: str = "app",
        registry: Registry | None = None,
        exemplar: ExemplarOf | None = None,
        collectors: Iterable[Collector] = (),
    ) -> None:
        self.registry = registry or Registry(prefix)
        self.registry.serve()
        self.exposition = Exposition(self.registry, collectors)
        self.exchanges = observe(app)
        self._requests = RequestMetrics(
            self.registry, scrape_path=path or "/metrics", exemplar=exemplar
        )
        self._requests.watch(self.exchanges)
        if path is not None:
            if any(rule.rule == path for rule in app.url_map.iter_rules()):
                raise ValueError(f"{app.name} has a route {path} already; name another path")
            app.add_url_rule(path, _ENDPOINT, self.response)
        self.ready(app)

    def ready(self, app: Flask) -> None:
        """Create at 0 the counters of what the routes that there are now answer with 200."""
        self._requests.create_expected(expected(app))

    def response(self) -> Response:
        """Return the answer to a scrape."""
        with scrapes.serve():
            body, content_type = self.exposition.render(request.headers.get("Accept", ""))
        return Response(body, content_type=content_type)


def observe(app: Flask) -> Exchanges:
    """Wrap the WSGI callable of `app` and return what tells of its exchanges."""
    exchanges = Exchanges(app.wsgi_app)
    app.wsgi_app = exchanges  # type: ignore[method-assign]
    got_request_exception.connect(_note_unhandled, app)
    return exchanges


def current() -> Exchange:
    """Return the exchange of the request being handled."""
    return exchange_of(request.environ)


def expected(
    app: Flask, statuses: Callable[[str, str], Iterable[int]] = lambda method, rule: (200,)
) -> Iterator[tuple[str, str, int]]:
    """Yield method, rule and status of each answer of the routes.

    statuses: of a method and a rule. HEAD and OPTIONS, which Flask adds, are left out: rows for
    every answer of every route would be a quarter of a scrape.
    """
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - _IMPLIED:
            for status in statuses(method, rule.rule):
                yield method, rule.rule, status


def _note_unhandled(_sender: Flask, **_arguments: Any) -> None:
    current().unhandled = True
