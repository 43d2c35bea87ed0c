"""Books what volumes and writable layers hold, from one reading of all to the next.

By day, not by hour: a size is read once a day, and what is stopped holds it too. Times are those of
the database, since the engine tells sizes without a moment.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from app.domain.usage.booking import Booking, Use, by_day
from app.domain.usage.ledger import owners_of
from app.domain.usage.rows import Owner, Rows
from app.engine import DiskUse
from app.storage import (
    DISK_REASONS,
    AgentReport,
    Database,
    Environment,
    Report,
    UsageDisk,
    now,
    put_rows,
)
from app.storage.fence import Fence

_BATCH = 250
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOTHING = DiskUse(0, 0)
_FAILURE = delete(AgentReport).where(AgentReport.name == Report.DISK)
# 64 TiB: what a day of it comes to fits into a column. The engine adds up what files claim, and one
# with holes claims exabytes without a byte behind it; it must not keep those of others unbooked.
_MOST = 2**46


class DiskLedger:
    """The one place that books sizes."""

    def __init__(self, database: Database, fence: Fence) -> None:
        """`fence` is called first in each transaction; see `app.storage.fence`."""
        self._database = database
        self._fence = fence

    def is_due(self, interval: float) -> bool:
        """Tell whether the last reading is so many seconds ago. Raises: StorageError."""
        with self._database.reading() as session:
            last = session.scalar(select(func.max(UsageDisk.read_at)))
            # A time that is yet to come is as old as it is early: the clock was set back.
            return last is None or abs(now(session) - last) >= timedelta(seconds=interval)

    def note_failure(self, reason: str) -> None:
        """Keep that disks cannot be read now, for one of `DISK_REASONS`, until they are.

        Raises: StorageError, and what the fence raises.
        """
        place = DISK_REASONS.index(reason) if reason in DISK_REASONS else 0
        with self._database.writing() as session:
            self._fence(session)
            row = {"name": Report.DISK, "value": float(place), "at": now(session)}
            put_rows(session, AgentReport, [row], key=("name",), changed=("value",))

    def forget_failure(self) -> None:
        """Forget that disks cannot be read, where they are not to be. Raises: as `note_failure`."""
        with self._database.reading() as session:
            if session.get(AgentReport, Report.DISK) is None:
                return
        with self._database.writing() as session:
            self._fence(session)
            session.execute(_FAILURE)

    def store(self, found: Mapping[str, DiskUse | None]) -> None:
        """Book the sizes of all environments; of one that is not in `found` there is nothing, and
        of one that is None there nobody knows: the next reading is booked from the one before.

        Raises: StorageError, which may come after the change was made; and what the fence raises.
        """
        with self._database.reading() as session:
            everything = session.scalars(select(Environment.id).order_by(Environment.id)).all()
        for start in range(0, len(everything), _BATCH):
            with self._database.writing() as session:
                self._fence(session)
                _store(session, found, everything[start : start + _BATCH])
        with self._database.writing() as session:
            self._fence(session)
            session.execute(_FAILURE)


def _store(
    session: Session, found: Mapping[str, DiskUse | None], environments: Sequence[str]
) -> None:
    at, owners = now(session), owners_of(session, environments)
    query = select(UsageDisk).where(UsageDisk.environment_id.in_(environments))
    known = {row.environment_id: row for row in session.scalars(query.with_for_update())}
    rows, sizes = Rows(), []
    for environment in environments:
        told, before = found.get(environment, _NOTHING), known.get(environment)
        if told is None:
            continue
        holds = DiskUse(*(min(size, _MOST) for size in told))
        if before is not None:
            owner = owners.get(environment, Owner())  # none: it was deleted just now
            rows.add(environment, owner, _between(before, holds, at), 0)
        if before is not None or holds != _NOTHING:
            size = {"volume_bytes": holds.volume_bytes, "layer_bytes": holds.layer_bytes}
            sizes.append({"environment_id": environment, "read_at": at, **size})
    rows.write(session)
    changed = ("read_at", "volume_bytes", "layer_bytes")
    put_rows(session, UsageDisk, sizes, key=("environment_id",), changed=changed)


def _between(before: UsageDisk, after: DiskUse, at: datetime) -> list[Booking]:
    """Return what was held between two readings: sizes are taken to have changed evenly."""
    since, until = _nanoseconds(before.read_at), _nanoseconds(at)
    # In microseconds, which is what the database has.
    passed = max(0, until - since) // 1000
    use = Use(
        volume_byte_seconds=(before.volume_bytes + after.volume_bytes) * passed // 2_000_000,
        layer_byte_seconds=(before.layer_bytes + after.layer_bytes) * passed // 2_000_000,
    )
    return by_day(use, since, until)


def _nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
