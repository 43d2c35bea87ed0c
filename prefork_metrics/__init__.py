"""Exact metrics of any pre-fork server, on top of prometheus-client.

`prefork_metrics.gunicorn.install` belongs into gunicorn.conf.py, `prefork_metrics.flask` or
`prefork_metrics.wsgi` into the application. The metric types here are the client library's own;
whoever imports them from there gets the same.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client import Counter as Counter
    from prometheus_client import Enum as Enum
    from prometheus_client import Gauge as Gauge
    from prometheus_client import Histogram as Histogram
    from prometheus_client import Info as Info
    from prometheus_client import Summary as Summary

    from prefork_metrics.registry import NativeHistogram as NativeHistogram
    from prefork_metrics.registry import Registry as Registry

__all__ = [
    "Counter",
    "Enum",
    "Gauge",
    "Histogram",
    "Info",
    "NativeHistogram",
    "Registry",
    "Summary",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for (PEP 562): who wants an error's name need not load the client."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    registry = import_module("prefork_metrics.registry")
    return getattr(registry, name)
