"""The row by which one of several agents leads, changed by compare-and-swap only.

`epoch` rises with each new holder. Whoever writes in the name of the leader calls `fence` first, in
the same transaction: it locks the row, so that nobody who was replaced can commit.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.errors import VibeBoxError
from app.storage import Database, Lease, utc_now

NAME = "agent"
TTL = timedelta(seconds=8)
"""How long a leader that says nothing still leads. Longer: one that died is replaced later;
shorter: a busy machine changes leaders."""

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
# A leader that is frozen in a fenced transaction must not hold the row, and so the lead, for long.
_IDLE_SECONDS = 3


class LeadershipLostError(VibeBoxError):
    """Another agent leads, or may lead at any moment: nothing may be written in its name."""

    slug = "leadership-lost"
    title = "Another agent leads"
    default_detail = "This agent leads no longer; the one that does goes on with the work."


@dataclass(frozen=True)
class Held:
    """A lease that was won: by whom, and which holder that is since the beginning."""

    holder: str
    epoch: int


class Leases:
    """The one lease, for the process `holder`. Every method may raise StorageUnavailableError."""

    def __init__(self, database: Database, holder: str) -> None:
        self._database = database
        self._holder = holder

    def win(self) -> Held | None:
        """Take the lease if nobody holds it now."""
        now = utc_now()
        with self._database.writing() as session:
            _bound(session)
            _ensure_row(session)
            epoch = session.scalar(
                update(Lease)
                .where(Lease.name == NAME, Lease.expires_at <= now)
                .values(holder=self._holder, epoch=Lease.epoch + 1, expires_at=now + TTL)
                .returning(Lease.epoch)
            )
        return None if epoch is None else Held(self._holder, epoch)

    def renew(self, held: Held) -> bool:
        """Hold the lease for longer; False where somebody else has it."""
        return self._move(held, utc_now() + TTL)

    def release(self, held: Held) -> None:
        """Let the next one have it at once."""
        self._move(held, _NEVER)

    def _move(self, held: Held, expires_at: datetime) -> bool:
        with self._database.writing() as session:
            _bound(session)
            moved = session.scalar(
                update(Lease)
                .where(Lease.name == NAME, Lease.holder == held.holder, Lease.epoch == held.epoch)
                .values(expires_at=expires_at)
                .returning(Lease.epoch)
            )
        return moved is not None


def fence(session: Session, held: Held) -> None:
    """Let the transaction commit only if the lease is still held. Raises: LeadershipLostError."""
    _bound(session)
    lease = session.scalar(
        select(Lease)
        .where(Lease.name == NAME)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if (
        lease is None
        or (lease.holder, lease.epoch) != (held.holder, held.epoch)
        or lease.expires_at <= utc_now()
    ):
        raise LeadershipLostError


def _bound(session: Session) -> None:
    """Have PostgreSQL end the transaction of a process that is frozen in it."""
    if session.get_bind().dialect.name == "postgresql":
        seconds = f"SET LOCAL idle_in_transaction_session_timeout = '{_IDLE_SECONDS}s'"
        session.execute(text(seconds))


def _ensure_row(session: Session) -> None:
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    row = {"name": NAME, "holder": "", "epoch": 0, "expires_at": _NEVER}
    session.execute(insert(Lease).values(**row).on_conflict_do_nothing())
