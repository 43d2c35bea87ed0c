"""What containers wrote, and how far it is taken in."""

from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.storage.models.base import Base, Serial, choice


class LogStream(StrEnum):
    """Where a container wrote a line."""

    STDOUT = "stdout"
    STDERR = "stderr"


class LogEntry(Base):
    """A line, in the order in which it was taken in."""

    __tablename__ = "log_entries"
    __table_args__ = (
        Index(None, "environment_id", "id"),
        Index(None, "at_ns"),
        # An id is never given twice, also where the newest lines were deleted: pages rely on it.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    environment_id: Mapped[str] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"))
    stream: Mapped[LogStream] = mapped_column(choice(LogStream, "stream"))
    # Docker's time of the line, in nanoseconds since 1970.
    at_ns: Mapped[int] = mapped_column(BigInteger)
    line: Mapped[str] = mapped_column(Text)
    # Bytes that the line counts for in the environment's share of the storage.
    size: Mapped[int]
    # The container (see `LogSource`) and the line's number there; none of an earlier release's.
    source_id: Mapped[int | None] = mapped_column(BigInteger)
    seq: Mapped[int | None] = mapped_column(BigInteger)


class LogCursor(Base):
    """How far a stream of a container is taken in; changed in the transaction that stores lines.

    Times rise within a stream but not between the two, so each has its own. `taken` says how many
    lines of the time `at_ns` are stored, since several can have the same.
    """

    __tablename__ = "log_cursors"

    container_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    stream: Mapped[LogStream] = mapped_column(choice(LogStream, "stream"), primary_key=True)
    environment_id: Mapped[str] = mapped_column(
        ForeignKey("environments.id", ondelete="CASCADE"), index=True
    )
    at_ns: Mapped[int] = mapped_column(BigInteger)
    taken: Mapped[int]


class LogSource(Base):
    """A container whose lines have numbers, from 1 without a gap, in the order of their storing.

    `stored` is the last number that was given, `shipped` the last that needs no more sending (-1
    where that begins with the first line there is). It outlives its environment, whose lines go
    with it, until what was not sent is counted.
    """

    __tablename__ = "log_sources"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    container_id: Mapped[str] = mapped_column(String(64), unique=True)
    environment_id: Mapped[str] = mapped_column(String(36))
    stored: Mapped[int] = mapped_column(BigInteger, default=0)
    shipped: Mapped[int] = mapped_column(BigInteger, default=0)


class LogShipping(Base):
    """Up to which line, by its id, the receiver of container logs has acknowledged: one row.

    `sending_to` is the last line of a batch that was begun, and of which nothing is known yet.
    """

    __tablename__ = "log_shipping"

    slot: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(BigInteger)
    sending_to: Mapped[int | None] = mapped_column(BigInteger)


class LogUsage(Base):
    """What the stored lines of an environment take, so that nobody needs to add them up."""

    __tablename__ = "log_usage"

    environment_id: Mapped[str] = mapped_column(
        ForeignKey("environments.id", ondelete="CASCADE"), primary_key=True
    )
    bytes: Mapped[int] = mapped_column(BigInteger, default=0)
