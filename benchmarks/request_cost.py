"""CPU time of one request, in process: bare Flask, and what each layer of ours adds.

Every variant answers the same JSON from the same route. They take turns in short rounds, so that
another load on the machine hits all alike, and the median round of each is shown.
"""

import logging
import statistics
import time
from collections.abc import Callable

from flask import Flask, Response
from werkzeug.test import EnvironBuilder

from app import access
from app.exchange import Exchanges
from app.logging import JsonFormatter
from app.telemetry import requests

ROUNDS = 31
REQUESTS = 400


def _flask() -> Flask:
    app = Flask("benchmark")

    @app.get("/items/<item>")
    def show(item: str) -> dict[str, str]:
        return {"item": item}

    return app


def _bare() -> Flask:
    return _flask()


def _empty_hooks() -> Flask:
    app = _flask()

    def before() -> None:
        return None

    def after(response: Response) -> Response:
        return response

    app.before_request(before)
    app.after_request(after)
    return app


def _telemetry() -> Flask:
    app = _flask()
    requests.init_app(app, Exchanges(app), {})
    return app


def _telemetry_and_log() -> Flask:
    app = _flask()
    exchanges = Exchanges(app)
    access.init_app(app, exchanges)
    requests.init_app(app, exchanges, {})
    return app


VARIANTS: dict[str, Callable[[], Flask]] = {
    "bare Flask": _bare,
    "empty before/after hooks": _empty_hooks,
    "VibeBox telemetry": _telemetry,
    "VibeBox telemetry, request id, log line": _telemetry_and_log,
}


def _round(app: Flask) -> float:
    """Return the CPU time of one request in microseconds, averaged over a round."""
    environ = EnvironBuilder("/items/7").get_environ()
    started = time.process_time()
    for _ in range(REQUESTS):
        body = app.wsgi_app(dict(environ), lambda status, headers, error=None: lambda data: None)
        for _chunk in body:
            pass
        body.close()  # type: ignore[attr-defined]
    return (time.process_time() - started) / REQUESTS * 1e6


def main() -> None:
    """Measure and print the table."""
    handler = logging.StreamHandler(open("/dev/null", "w"))
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    apps = {name: build() for name, build in VARIANTS.items()}
    for app in apps.values():
        _round(app)
    times: dict[str, list[float]] = {name: [] for name in apps}
    for _ in range(ROUNDS):
        for name, app in apps.items():
            times[name].append(_round(app))
    bare = statistics.median(times["bare Flask"])
    print(f"CPU time of one request, median of {ROUNDS} rounds of {REQUESTS}\n")
    print(f"{'variant':<42}{'µs':>8}{'added µs':>10}{'ratio':>8}")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:<42}{median:>8.1f}{median - bare:>10.1f}{median / bare:>8.2f}")
