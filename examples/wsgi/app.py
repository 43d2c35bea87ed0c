from collections.abc import Callable, Iterable
from typing import Any

from prefork_metrics import Gauge, Info
from prefork_metrics.wsgi import PreforkMetrics

ROUTES = {"/": b"Hello.\n", "/level": b"Set.\n"}
level = Gauge("plain_level", "As it was set last.", multiprocess_mode="mostrecent")
Info("plain_build", "What runs here.").info({"version": "1.0"})


def plain(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path not in ROUTES:
        start_response("404 Not Found", [])
        return []
    environ["prefork_metrics.route"] = path
    if path == "/level":
        level.set(float(environ["QUERY_STRING"] or 0))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [ROUTES[path]]


application = PreforkMetrics(plain, path="/metrics", prefix="plain")
