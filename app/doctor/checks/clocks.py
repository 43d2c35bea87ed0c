"""The clocks of the database's and the engine's host, against this one's.

VibeBox itself decides by the database's clock. What a wrong one spoils is what people compare: log
lines, traces and graphs of several hosts, and when a login ends.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from app.core.errors import EngineError, StorageError
from app.doctor.findings import Finding, failed, ok, skipped
from app.doctor.looks import Records
from app.engine import Engine
from app.storage import now

TOLERANCE = 2.0
"""Seconds. Hosts that keep their time differ by milliseconds; a busy one answers late."""
LATE = skipped("The database or Docker Engine does not say in time what time it is.")
_ENGINE_SECONDS = 0.9
_NEXT_STEP = (
    "Set it, and let it be kept (chrony, systemd-timesyncd): `timedatectl` shows how it is."
)


def look(records: Records, engine: Engine) -> Finding:
    """Return whose clock is off: of two that agree against ours it is ours."""
    ahead = {
        name: seconds
        for name, seconds in (
            ("the database", _ahead(lambda: _of_database(records))),
            ("Docker Engine", _ahead(lambda: engine.clock(_ENGINE_SECONDS))),
        )
        if seconds is not None
    }
    if not ahead:
        return skipped("Neither the database nor Docker Engine says what time it is.")
    off = {name: seconds for name, seconds in ahead.items() if abs(seconds) > TOLERANCE}
    if not off:
        return ok(f"The clocks of this host and of {' and of '.join(ahead)} agree.")
    if len(off) == 2 and max(off.values()) - min(off.values()) <= TOLERANCE:
        return failed(
            f"The clock of this host is {_said(-max(off.values()))}, against those of the database "
            "and of Docker Engine.",
            _NEXT_STEP,
        )
    told = " and ".join(f"that of {name} {_said(seconds)}" for name, seconds in off.items())
    return failed(f"The clocks differ: {told}, against this host's.", _NEXT_STEP)


def _ahead(ask: Callable[[], datetime]) -> float | None:
    """Return by how many seconds its clock is ahead, at least; None where it does not say."""
    began = datetime.now(UTC)
    try:
        shown = ask()
    except (StorageError, EngineError):
        return None  # told by the check of its own
    ended = datetime.now(UTC)
    if began <= shown <= ended:
        return 0.0
    return (shown - (ended if shown > ended else began)).total_seconds()


def _of_database(records: Records) -> datetime:
    with records.reading() as session:
        return now(session)


def _said(seconds: float) -> str:
    return f"{abs(seconds):.0f} s {'ahead' if seconds > 0 else 'behind'}"
