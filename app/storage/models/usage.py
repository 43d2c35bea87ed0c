"""What environments use: rows by hour and day, and how far each run of a container is booked."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, Index, Numeric, String
from sqlalchemy.orm import Mapped, mapped_column

from app.storage.models.base import Base, choice

# 500 environments run 292 years, all that 64 bits have of nanoseconds, in seven months. SQLite goes
# on with a float there, of which a series has no more anyway.
_TOTAL = BigInteger().with_variant(Numeric(38, 0), "postgresql")


SYNTHETIC = "synthetic"
"""In the place of an environment's id: what those of synthetic accounts have used together."""


class UsagePeriod(StrEnum):
    """The length of the time that a row is about."""

    HOUR = "hour"
    DAY = "day"


class UsageRow(Base):
    """What one environment used within one period; it outlives environment, project and team.

    So nothing refers to them: whose it was is written into the row by its first booking, with their
    names. An hour is either in its own row or, once it is old, in that of
    its day: what is asked for is the sum of both kinds.

    Attributes: starts_at (of the period, UTC); running_ns (also of what was never read, by Docker's
    times of start and end); unread_ns (the part of it between the last reading of a run and its
    end, whose use nobody knows); runs (that began to be booked) and unread_runs (that ended before
    anybody read them); memory_byte_seconds (use times time, without inactive page cache);
    memory_peak_bytes (as the kernel counts it, page cache included) and memory_limit_bytes (the
    largest that it was); volume_byte_seconds and layer_byte_seconds (of rows by day alone).
    """

    __tablename__ = "usage_rows"
    __table_args__ = (
        Index(None, "starts_at"),
        Index(None, "team_id", "starts_at"),
        Index(None, "project_id", "starts_at"),
        Index(None, "account_id", "starts_at"),
    )

    environment_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    starts_at: Mapped[datetime] = mapped_column(primary_key=True)
    period: Mapped[UsagePeriod] = mapped_column(choice(UsagePeriod, "period"), primary_key=True)
    # None where the environment was gone before anything of it was booked.
    environment: Mapped[str | None] = mapped_column(String(63))
    project_id: Mapped[str | None] = mapped_column(String(36))
    project: Mapped[str | None] = mapped_column(String(63))
    # None: of a project that belongs to an account.
    team_id: Mapped[str | None] = mapped_column(String(36))
    team: Mapped[str | None] = mapped_column(String(63))
    # Who made the environment.
    account_id: Mapped[str | None] = mapped_column(String(36))
    account: Mapped[str | None] = mapped_column(String(254))

    running_ns: Mapped[int] = mapped_column(BigInteger, default=0)
    unread_ns: Mapped[int] = mapped_column(BigInteger, default=0)
    runs: Mapped[int] = mapped_column(BigInteger, default=0)
    unread_runs: Mapped[int] = mapped_column(BigInteger, default=0)
    cpu_ns: Mapped[int] = mapped_column(BigInteger, default=0)
    throttled_ns: Mapped[int] = mapped_column(BigInteger, default=0)
    memory_byte_seconds: Mapped[int] = mapped_column(BigInteger, default=0)
    memory_peak_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    memory_limit_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    oom_kills: Mapped[int] = mapped_column(BigInteger, default=0)
    network_rx_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    network_tx_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    block_read_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    block_write_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    volume_byte_seconds: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    layer_byte_seconds: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")


class UsageTotalKind(StrEnum):
    """Whose a total is."""

    ENVIRONMENT = "environment"
    TEAM = "team"


class UsageTotal(Base):
    """What one environment, or one team, has used since the ledger began: what series count.

    Raised in the transaction that books, so that it is the sum of all rows there ever were; it
    never falls, also when old rows are deleted. `id` is empty for what belongs to no team. That of
    an environment goes some days after the environment, that of a team stays.
    """

    __tablename__ = "usage_totals"

    kind: Mapped[UsageTotalKind] = mapped_column(choice(UsageTotalKind, "kind"), primary_key=True)
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str | None] = mapped_column(String(63))
    project: Mapped[str | None] = mapped_column(String(63))
    team: Mapped[str | None] = mapped_column(String(63))

    running_ns: Mapped[int] = mapped_column(_TOTAL, default=0)
    unread_ns: Mapped[int] = mapped_column(_TOTAL, default=0)
    runs: Mapped[int] = mapped_column(_TOTAL, default=0)
    unread_runs: Mapped[int] = mapped_column(_TOTAL, default=0)
    cpu_ns: Mapped[int] = mapped_column(_TOTAL, default=0)
    throttled_ns: Mapped[int] = mapped_column(_TOTAL, default=0)
    memory_byte_seconds: Mapped[int] = mapped_column(_TOTAL, default=0)
    oom_kills: Mapped[int] = mapped_column(_TOTAL, default=0)
    network_rx_bytes: Mapped[int] = mapped_column(_TOTAL, default=0)
    network_tx_bytes: Mapped[int] = mapped_column(_TOTAL, default=0)
    block_read_bytes: Mapped[int] = mapped_column(_TOTAL, default=0)
    block_write_bytes: Mapped[int] = mapped_column(_TOTAL, default=0)
    volume_byte_seconds: Mapped[int] = mapped_column(_TOTAL, default=0, server_default="0")
    layer_byte_seconds: Mapped[int] = mapped_column(_TOTAL, default=0, server_default="0")


class UsageCursor(Base):
    """How far one run of a container is booked: its totals at the last reading.

    Changed in the transaction that books what lies between two readings, which makes it exactly
    once. It stays for some days after the end of the run (`ended`), so that the end is booked once.
    """

    __tablename__ = "usage_cursors"

    container_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    run_started: Mapped[str] = mapped_column(String(40), primary_key=True)
    environment_id: Mapped[str] = mapped_column(String(36))
    ended: Mapped[bool] = mapped_column(default=False)
    # By the clock of the engine's host, in nanoseconds since 1970.
    read_at_ns: Mapped[int] = mapped_column(BigInteger)
    cpu_ns: Mapped[int] = mapped_column(BigInteger)
    throttled_ns: Mapped[int] = mapped_column(BigInteger)
    memory_bytes: Mapped[int] = mapped_column(BigInteger)
    memory_peak_bytes: Mapped[int] = mapped_column(BigInteger)
    oom_kills: Mapped[int] = mapped_column(BigInteger)
    network_rx_bytes: Mapped[int] = mapped_column(BigInteger)
    network_tx_bytes: Mapped[int] = mapped_column(BigInteger)
    block_read_bytes: Mapped[int] = mapped_column(BigInteger)
    block_write_bytes: Mapped[int] = mapped_column(BigInteger)


class UsageDisk(Base):
    """What one environment held on disk at the last reading: volume, and writable layer.

    Its moment is what the next reading is booked from. It goes with the environment, some time
    after it.
    """

    __tablename__ = "usage_disks"

    environment_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    read_at: Mapped[datetime]
    volume_bytes: Mapped[int] = mapped_column(BigInteger)
    layer_bytes: Mapped[int] = mapped_column(BigInteger)
