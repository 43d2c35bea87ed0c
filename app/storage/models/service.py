"""What the processes of the service tell each other, and what was done through them."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, Double, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.storage.models.base import Base, Serial, new_id, utc_now


class Installation(Base):
    """The one row that names this VibeBox: containers carry it, so that two can share an engine."""

    __tablename__ = "installation"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Process(Base):
    """A process that may hold transitions, and when it was last known to live."""

    __tablename__ = "processes"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    place: Mapped[str] = mapped_column(String(32))
    started_at: Mapped[datetime] = mapped_column(default=utc_now)
    seen_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)


class Lease(Base):
    """Who alone does something for a while; `epoch`, a fencing token, rises with each holder."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    holder: Mapped[str] = mapped_column(String(36))
    epoch: Mapped[int]
    expires_at: Mapped[datetime]


class ClockReading(Base):
    """The earliest moment of the boot that the database's clock implied within an hour.

    A host's boot does not move: where it seems to, a clock did (see `app.storage.cautious_clock`).
    Attributes: boot_id (the kernel's run), hour (of the time since that boot), seen_at (when the
    clock said so).
    """

    __tablename__ = "clock_readings"

    boot_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    hour: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    booted_at: Mapped[datetime]
    seen_at: Mapped[datetime]


class Report(StrEnum):
    """What the leading agent reports."""

    DRIFT = "drift"  # how many environments are recorded with a status that is not Docker's
    SWEEP = "sweep"  # how many records the last sweep compared; its time is when it was through
    PROBE = "probe"  # its time is since when rounds of the synthetic user are awaited
    DISK = "disk"  # a place in `DISK_REASONS`; its time is since when disks cannot be read


DISK_REASONS = ("engine-failure", "engine-timeout", "engine-unreachable")
"""Why disks cannot be read, as problems of the API are called; their places are in the database."""


class AgentReport(Base):
    """What the leading agent found last, and when: it stays when the agent is gone.

    Attributes: name (a `Report`), at (by the database's clock).
    """

    __tablename__ = "agent_reports"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[float] = mapped_column(Double)
    at: Mapped[datetime]


class DurableCounter(StrEnum):
    """Events that are counted in the transaction that stores them.

    A value is the name of the family, which `EventCount` rows hold: renaming one takes a migration.
    """

    ENVIRONMENT_EXITS = "vibebox_environment_exits_total"
    EXTENSION_INSTALLATIONS = "vibebox_extension_installations_total"
    LOG_ENTRIES = "vibebox_log_entries_total"
    CONTAINER_LOG_LINES = "vibebox_container_log_lines_total"
    PROBE_ROUNDS = "vibebox_probe_rounds_total"
    PROBE_FAILURES = "vibebox_probe_failures_total"


class EventCount(Base):
    """How often something happened, counted in the transaction that records it.

    The metric follows; where the process died in between, the next agent backfills it. `directory`
    is the identity of the metrics directory, whose counters begin at 0 when it is emptied.
    """

    __tablename__ = "event_counts"

    directory: Mapped[str] = mapped_column(String(36), primary_key=True)
    family: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(String(32), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger, default=0)


class AuditEntry(Base):
    """One change: who made it, of what, from where. It outlives all of them, so nothing refers."""

    __tablename__ = "audit_entries"
    __table_args__ = (Index(None, "team_id", "id"), Index(None, "actor_id", "id"))

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    actor_id: Mapped[str | None] = mapped_column(String(36))
    actor: Mapped[str] = mapped_column(String(254))
    api_key_id: Mapped[str | None] = mapped_column(String(36))
    action: Mapped[str] = mapped_column(String(64))
    target_kind: Mapped[str] = mapped_column(String(32))
    target_id: Mapped[str | None] = mapped_column(String(36))
    target_name: Mapped[str | None] = mapped_column(String(254))
    project_id: Mapped[str | None] = mapped_column(String(36))
    team_id: Mapped[str | None] = mapped_column(String(36))
    address: Mapped[str | None] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(128))
    details: Mapped[dict[str, Any]] = mapped_column(JSON(), default=dict)


class WriteProof(Base):
    """A row that readiness checks write to, to see that changes are taken; it says nothing else."""

    __tablename__ = "write_probes"

    slot: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    written_at: Mapped[datetime]
