"""Environments, and what is recorded of their containers."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Double,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.ext.mutable import MutableDict, MutableList
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.storage.models.accounts import Project
from app.storage.models.base import Base, Seen, choice, new_id, utc_now


class EnvironmentStatus(StrEnum):
    """What an environment is doing; changed by compare-and-swap only."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    PAUSED = "paused"
    ERROR = "error"


AT_REST = (EnvironmentStatus.STOPPED, EnvironmentStatus.ERROR)
"""Statuses in which nothing of an environment runs."""


class ExitReason(StrEnum):
    """Why a container ended."""

    USER = "user"  # somebody asked VibeBox for it
    OOM = "oom"  # the kernel, short of the container's memory
    ERROR = "error"  # its command, with an exit code
    KILLED = "killed"  # a signal that VibeBox did not send
    COMPLETED = "completed"  # its command, with success


class PullPolicy(StrEnum):
    """When a start pulls the image."""

    MISSING = "missing"
    ALWAYS = "always"
    NEVER = "never"


class PullStatus(StrEnum):
    """How far the agent is with a pull that a start waits for."""

    PENDING = "pending"
    PULLING = "pulling"
    DONE = "done"
    FAILED = "failed"


class Environment(Seen, Base):
    """A development environment, whether or not it has a container at the moment."""

    __tablename__ = "environments"
    __table_args__ = (
        UniqueConstraint("project_id", "name"),
        # Listing a project's environments page by page; it also serves the foreign key.
        Index(None, "project_id", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    created_by: Mapped[str | None] = mapped_column(
        ForeignKey("users.id", ondelete="SET NULL"), index=True
    )
    name: Mapped[str] = mapped_column(String(63))
    image: Mapped[str] = mapped_column(String(255))
    pull: Mapped[PullPolicy] = mapped_column(
        choice(PullPolicy, "pull"), default=PullPolicy.MISSING, server_default=PullPolicy.MISSING
    )

    status: Mapped[EnvironmentStatus] = mapped_column(
        choice(EnvironmentStatus, "status"), default=EnvironmentStatus.STOPPED, index=True
    )
    status_changed_at: Mapped[datetime] = mapped_column(default=utc_now)
    # The process that holds a transition (starting, stopping); see `Process`.
    held_by: Mapped[str | None] = mapped_column(String(36))
    error: Mapped[str | None] = mapped_column(Text)

    env: Mapped[dict[str, str]] = mapped_column(MutableDict.as_mutable(JSON()), default=dict)
    # Encrypted (Fernet), by name; never shown.
    secrets: Mapped[dict[str, str]] = mapped_column(
        MutableDict.as_mutable(JSON()), default=dict, server_default="{}"
    )
    ports: Mapped[list[Any]] = mapped_column(MutableList.as_mutable(JSON()), default=list)
    # Where Docker published them at the last start; empty while the environment is not running.
    published_ports: Mapped[list[Any]] = mapped_column(MutableList.as_mutable(JSON()), default=list)
    cpu_limit: Mapped[float] = mapped_column(Double)
    memory_limit_mb: Mapped[int]
    # Where the volume, which outlives the container, is mounted; None: no volume.
    volume_path: Mapped[str | None] = mapped_column(String(255))
    expires_at: Mapped[datetime | None] = mapped_column(index=True)

    container_id: Mapped[str | None] = mapped_column(String(64))
    # Docker's own word for the start of the container's present or last run: with the container's
    # id, the identity of that run.
    run_started: Mapped[str | None] = mapped_column(String(40))
    # The run (`run_started`) whose first sessions were begun; see `app.agent.sessions.on_start`.
    sessions_run: Mapped[str | None] = mapped_column(String(40))
    # Of the request that began its last transition; the agent goes on with its trace, once.
    traceparent: Mapped[str | None] = mapped_column(String(55))
    # The user asked for the end of this run, so that its exit has the reason `user`.
    end_requested: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Of the last run that ended.
    exit_reason: Mapped[ExitReason | None] = mapped_column(choice(ExitReason, "exit_reason"))
    exit_code: Mapped[int | None]
    exited_at: Mapped[datetime | None]

    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now)
    # Made by an account that is.
    is_synthetic: Mapped[bool] = mapped_column(default=False, server_default=false())

    project: Mapped[Project] = relationship(lazy="raise")
    # The pull that its start waits for; whoever shows an environment sets it.
    pull_progress: Mapped["ImagePull | None"] = relationship(
        primaryjoin="and_(ImagePull.environment_id == Environment.id, "
        "ImagePull.status.in_(('pending', 'pulling')))",
        viewonly=True,
        uselist=False,
        lazy="raise",
    )

    @property
    def secret_names(self) -> list[str]:
        """What may be shown of the secrets."""
        return sorted(self.secrets)


class PortReservation(Base):
    """A host port that an environment asks for; the key keeps two from having the same."""

    __tablename__ = "port_reservations"

    host_port: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    protocol: Mapped[str] = mapped_column(String(8), primary_key=True)
    environment_id: Mapped[str] = mapped_column(
        ForeignKey("environments.id", ondelete="CASCADE"), index=True
    )


class ContainerExit(Base):
    """The end of one run of a container, once whoever notices it: the key is the run.

    It outlives the environment. `counted` follows when the agent has put it into the totals.
    `oom_killed` is Docker's flag at that end, None where nobody saw it; later runs have it too.
    """

    __tablename__ = "container_exits"

    container_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    run_started: Mapped[str] = mapped_column(String(40), primary_key=True)
    environment_id: Mapped[str] = mapped_column(String(36), index=True)
    reason: Mapped[ExitReason] = mapped_column(choice(ExitReason, "reason"))
    exit_code: Mapped[int | None]
    exited_at: Mapped[datetime] = mapped_column(default=utc_now)
    oom_killed: Mapped[bool | None]
    counted: Mapped[bool] = mapped_column(default=False, index=True)
    # As its environment was, which may be gone when its use is booked.
    is_synthetic: Mapped[bool] = mapped_column(default=False, server_default=false())


class ImagePull(Base):
    """A start that waits for its image; the agent pulls it and then goes on with the start.

    Attributes: layers ([{id, status, current, total}]), bytes_done, bytes_total; error is the slug
    of the problem that the start ended in, or `cancelled`.
    """

    __tablename__ = "image_pulls"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    environment_id: Mapped[str] = mapped_column(
        ForeignKey("environments.id", ondelete="CASCADE"), index=True
    )
    image: Mapped[str] = mapped_column(String(255))
    status: Mapped[PullStatus] = mapped_column(
        choice(PullStatus, "status"), default=PullStatus.PENDING, index=True
    )
    layers: Mapped[list[Any]] = mapped_column(JSON(), default=list)
    bytes_done: Mapped[int] = mapped_column(BigInteger, default=0)
    bytes_total: Mapped[int] = mapped_column(BigInteger, default=0)
    error: Mapped[str | None] = mapped_column(Text)
    # The account that started it; none where an older release did. No key: it may be gone.
    requested_by: Mapped[str | None] = mapped_column(String(36))
    requested_at: Mapped[datetime] = mapped_column(default=utc_now)
    # The trace of the request that asked for it, which the pull continues.
    traceparent: Mapped[str | None] = mapped_column(String(55))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    @property
    def percent(self) -> float:
        """How far it is, by the bytes of the layers whose size is known so far."""
        if self.status is PullStatus.DONE:
            return 100.0
        return round(100 * self.bytes_done / self.bytes_total, 1) if self.bytes_total else 0.0
