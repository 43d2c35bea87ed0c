"""What a process records traces with; nothing where tracing is off."""

from app.core.settings import Settings
from app.tracing.installed import is_installed
from app.tracing.recorder import Recorder, Rings
from app.tracing.rules import Rules

_MIB = 1 << 20


def build(settings: Settings) -> Recorder | None:
    """Return the recorder of this process, None where traces are sent nowhere."""
    if settings.traces_endpoint is None or not is_installed():
        return None
    rings = Rings(settings.traces_path, settings.traces_mb * _MIB)
    rules = Rules(settings.traces_ratio, settings.traces_callers)
    database = "sqlite" if settings.database_url.startswith("sqlite") else "postgresql"
    return Recorder(rules, rings, database, trusts_peers=settings.traces_from_proxy)
