"""Sessions in environments, and what opens the WebSockets that show them."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.storage.models.base import Base, choice, new_id, utc_now


class SessionType(StrEnum):
    """What a session runs in its environment's container."""

    VSCODE_SERVER = "vscode_server"
    TMUX = "tmux"
    SHELL = "shell"


class SessionStatus(StrEnum):
    """What a session is doing; one that is terminated stays so."""

    STARTING = "starting"  # its process is not there yet
    ACTIVE = "active"
    IDLE = "idle"  # its process is there, and nobody has used it for a while
    TERMINATED = "terminated"


class EnvironmentSession(Base):
    """A session, in one run of its environment's container (see `Environment.run_started`).

    Attributes: exec_id (Docker's, of a shell's process, once somebody is at its terminal); held_by
    (the process of the service that serves this terminal; see `Process`); connection_url (where a
    VS Code server answers); end_requested_at (since when it is to end: it has not while its status
    says otherwise, and goes on being ended).
    """

    __tablename__ = "sessions"
    __table_args__ = (
        Index(None, "environment_id", "created_at", "id"),
        Index(None, "status", "ended_at"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    environment_id: Mapped[str] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"))
    user_id: Mapped[str | None] = mapped_column(
        ForeignKey("users.id", ondelete="SET NULL"), index=True
    )
    type: Mapped[SessionType] = mapped_column(choice(SessionType, "type"))
    status: Mapped[SessionStatus] = mapped_column(
        choice(SessionStatus, "status"), default=SessionStatus.STARTING
    )
    name: Mapped[str] = mapped_column(String(63))
    container_id: Mapped[str] = mapped_column(String(64))
    run_started: Mapped[str | None] = mapped_column(String(40))
    exec_id: Mapped[str | None] = mapped_column(String(64))
    held_by: Mapped[str | None] = mapped_column(String(36))
    exit_code: Mapped[int | None]
    connection_url: Mapped[str | None] = mapped_column(String(300))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    last_active_at: Mapped[datetime] = mapped_column(default=utc_now)
    ended_at: Mapped[datetime | None]
    end_requested_at: Mapped[datetime | None]
    # Of the request that asked for its end.
    traceparent: Mapped[str | None] = mapped_column(String(55))

    @property
    def ending(self) -> bool:
        """Whether it is to end and has not yet."""
        return self.end_requested_at is not None and self.status is not SessionStatus.TERMINATED


class Terminal(Base):
    """A terminal of a session that somebody is at, or whose command is still to be ended.

    Its id is the mark that the command carries (see `app.domain.sessions.marked`).
    Attributes: held_by (the process of the service that serves it, None where it is to be closed);
    exec_id and pid (Docker's, of the command; the number is that of the engine's host).
    """

    __tablename__ = "terminals"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    session_id: Mapped[str] = mapped_column(
        ForeignKey("sessions.id", ondelete="CASCADE"), index=True
    )
    held_by: Mapped[str | None] = mapped_column(String(36))
    exec_id: Mapped[str | None] = mapped_column(String(64))
    pid: Mapped[int | None] = mapped_column(BigInteger)
    opened_at: Mapped[datetime] = mapped_column(default=utc_now)


class SocketTicket(Base):
    """A ticket for one WebSocket; only its digest is kept, and that until it is used."""

    __tablename__ = "ws_tickets"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    # The credential it was asked for with: one of the two.
    grant_id: Mapped[str | None] = mapped_column(String(36))
    api_key_id: Mapped[str | None] = mapped_column(String(36))
    scopes: Mapped[list[Any]] = mapped_column(JSON())
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]
