"""The row by which one of several agents leads, changed by compare-and-swap only.

`epoch` rises with each new holder. Whoever writes in the name of the leader calls `fence` first, in
the same transaction: it locks the row, so that nobody who was replaced can commit.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from app.core.errors import LeadershipLostError
from app.storage import Database, Lease, db_now, end_when_idle, insert_missing
from app.storage.lease import NAME, TTL, holds

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
# A leader that is frozen in a fenced transaction must not hold the row, and so the lead, for long.
_IDLE_SECONDS = 3


@dataclass(frozen=True)
class Held:
    """A lease that was won: by whom, and which holder that is since the beginning."""

    holder: str
    epoch: int


class Leases:
    """The one lease, for the process `holder`. Every method may raise StorageUnavailableError."""

    def __init__(self, database: Database, holder: str, lasting: timedelta = TTL) -> None:
        self._database = database
        self._holder = holder
        self._lasting = lasting

    def win(self) -> Held | None:
        """Take the lease if nobody holds it now."""
        with self._database.writing() as session:
            end_when_idle(session, _IDLE_SECONDS)
            _ensure_row(session)
            epoch = session.scalar(
                update(Lease)
                .where(Lease.name == NAME, ~holds())
                .values(
                    holder=self._holder, epoch=Lease.epoch + 1, expires_at=db_now(self._lasting)
                )
                .returning(Lease.epoch)
            )
        return None if epoch is None else Held(self._holder, epoch)

    def renew(self, held: Held) -> bool:
        """Hold the lease for longer; False where somebody else has it."""
        return self._move(held, db_now(self._lasting))

    def release(self, held: Held) -> None:
        """Let the next one have it at once."""
        self._move(held, _NEVER)

    def _move(self, held: Held, expires_at: ColumnElement[datetime] | datetime) -> bool:
        with self._database.writing() as session:
            end_when_idle(session, _IDLE_SECONDS)
            moved = session.scalar(
                update(Lease)
                .where(Lease.name == NAME, Lease.holder == held.holder, Lease.epoch == held.epoch)
                .values(expires_at=expires_at)
                .returning(Lease.epoch)
            )
        return moved is not None


def fence(session: Session, held: Held) -> None:
    """Let the transaction commit only if the lease is still held. Raises: LeadershipLostError."""
    end_when_idle(session, _IDLE_SECONDS)
    if not is_held(session, held, lock=True):
        raise LeadershipLostError


def is_held(session: Session, held: Held, *, lock: bool = False) -> bool:
    """Tell whether the lease is held; with `lock` until the transaction ends."""
    lease = select(Lease.holder, Lease.epoch, holds()).where(Lease.name == NAME)
    found = session.execute(lease.with_for_update() if lock else lease).one_or_none()
    return found is not None and tuple(found) == (held.holder, held.epoch, True)


def _ensure_row(session: Session) -> None:
    row = {"name": NAME, "holder": "", "epoch": 0, "expires_at": _NEVER}
    insert_missing(session, Lease, [row])
