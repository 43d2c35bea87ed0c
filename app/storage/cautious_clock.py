"""The time for what deletes by time: never ahead of what the clock has shown before.

A clock that jumps forward, or a process that is started under a wrong one, would delete what has
not expired. So processes keep what the database's clock says against the kernel's own count of the
seconds since the boot, which nobody sets: their difference, the moment of the boot, should not
move. The earliest that was seen of it within a day counts. A clock that was set forward, rightly or
not, so takes effect on deletions a day later, one that was set back at once: what is deleted late
can still be deleted, what is deleted early is gone.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from uuid import uuid4

from sqlalchemy import func, select

from app.storage import ClockReading, Database, db_now, put_rows

_HOURS = 24
# What two readings of one clock may differ by: a busy machine is late in between.
_NOISE = timedelta(seconds=1)


@cache
def boot_id() -> str:
    """Return what names the kernel's present run; one of this process where it does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:36]
    except OSError:
        return str(uuid4())


def uptime() -> float:
    """Return the seconds since the boot, which no change of a clock moves.

    From the kernel's text: what fakes a clock for a process fakes the monotonic one as well.
    """
    try:
        return float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return time.monotonic()


class CautiousClock:
    """Tells the time, and keeps what the database's clock shows; any thread may ask."""

    def __init__(
        self,
        database: Database,
        *,
        uptime: Callable[[], float] = uptime,
        boot_id: Callable[[], str] = boot_id,
    ) -> None:
        self._database = database
        self._uptime = uptime
        self._boot_id = boot_id

    def now(self) -> datetime:
        """Return the earliest that the present moment may be. Raises: StorageUnavailableError."""
        boot, up = self._boot_id(), self._uptime()
        hour = int(up // 3600)
        mine = ClockReading.boot_id == boot
        earliest = select(func.min(ClockReading.booted_at)).where(
            mine, ClockReading.hour > hour - _HOURS
        )
        latest = select(ClockReading.booted_at).where(mine, ClockReading.hour == hour)
        with self._database.reading() as session:
            shown, known, kept = session.execute(
                select(db_now(), earliest.scalar_subquery(), latest.scalar_subquery())
            ).one()
        booted = shown - timedelta(seconds=up)
        if kept is None or booted < kept - _NOISE:
            self._keep(boot, hour, booted, shown)
        return min(booted, known or booted) + timedelta(seconds=up)

    def _keep(self, boot: str, hour: int, booted: datetime, shown: datetime) -> None:
        row = {"boot_id": boot, "hour": hour, "booted_at": booted, "seen_at": shown}
        changed = ("booted_at", "seen_at")
        with self._database.writing() as session:
            put_rows(session, ClockReading, [row], key=("boot_id", "hour"), changed=changed)
