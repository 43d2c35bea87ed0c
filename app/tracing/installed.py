"""Whether this installation can send anything; apart, since it loads nothing."""

from importlib.util import find_spec

MISSING = (
    "the extra otel is not installed: pip install ./prefork_metrics '.[otel]' in a checkout; from "
    "wheels, that of vibebox with [otel] behind its name"
)
"""What to say where it is not there: VibeBox is on no package index."""


def is_installed() -> bool:
    """Tell whether what traces are sent with is there (the extra `otel`)."""
    try:
        return find_spec("opentelemetry.proto") is not None
    except ModuleNotFoundError:
        return False
