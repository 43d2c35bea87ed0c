"""Rounds of the synthetic user: what each was through with, and where it failed."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.storage.models.base import Base, new_id


class ProbeStep(StrEnum):
    """What a round does, in this order; the step at which it fails is named so."""

    PREPARE = "prepare"  # from inside: the account and its password, in the database
    SIGN_IN = "sign_in"  # from here on from outside, by the public address
    SWEEP = "sweep"  # what rounds that were cut off have left behind
    CREATE = "create"
    START = "start"
    COMMAND = "command"
    STOP = "stop"
    DELETE = "delete"
    SIGN_OUT = "sign_out"


class ProbeRound(Base):
    """One round, whoever makes it: the leading agent, or `vibebox probe`.

    Attributes: place (who makes it), due_at (by when it has ended: one that is open later was cut
    off), finished_at (None while it goes on), step (at which it failed, a `ProbeStep`; None where
    it did not), says and next_step (what was wrong, and what to do), seconds (of each step),
    counted (whether the leading agent has put it into the metrics).
    """

    __tablename__ = "probe_rounds"
    __table_args__ = (Index(None, "finished_at"), Index(None, "counted"))

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    place: Mapped[str] = mapped_column(String(32))
    started_at: Mapped[datetime]
    due_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    step: Mapped[str | None] = mapped_column(String(16))
    says: Mapped[str | None] = mapped_column(Text())
    next_step: Mapped[str | None] = mapped_column(Text())
    seconds: Mapped[dict[str, Any]] = mapped_column(JSON(), default=dict)
    counted: Mapped[bool] = mapped_column(default=False)
