"""Whether this installation can send anything; apart, since it loads nothing."""

from importlib.util import find_spec


def is_installed() -> bool:
    """Tell whether what traces are sent with is there (the extra `otel`)."""
    try:
        return find_spec("opentelemetry.proto") is not None
    except ModuleNotFoundError:
        return False
