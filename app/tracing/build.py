"""What a process records traces with; nothing where tracing is off."""

from importlib.util import find_spec

from app.core.settings import Settings
from app.tracing.recorder import Recorder, Rings
from app.tracing.rules import Rules

_MIB = 1 << 20


def is_installed() -> bool:
    """Tell whether what traces are sent with is there (the extra `otel`)."""
    try:
        return find_spec("opentelemetry.proto") is not None
    except ModuleNotFoundError:
        return False


def build(settings: Settings) -> Recorder | None:
    """Return the recorder of this process, None where traces are sent nowhere."""
    if settings.traces_endpoint is None or not is_installed():
        return None
    rings = Rings(settings.traces_path, settings.traces_mb * _MIB)
    rules = Rules(settings.traces_ratio, settings.traces_callers)
    database = "sqlite" if settings.database_url.startswith("sqlite") else "postgresql"
    return Recorder(rules, rings, database, trusts_peers=settings.traces_from_proxy)
