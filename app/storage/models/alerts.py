"""Alerts, as Alertmanager tells them."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, query_expression

from app.storage.models.base import Base, new_id, utc_now


class Alert(Base):
    """An alert, from when it began to fire; one that fires anew has a row of its own.

    Attributes: ends_at (until when it counts as firing: where nobody has told its end, until it is
    believed no longer); resolved (whether its end was told); heard_at (when it was last told);
    firing (whether it counts as firing now, of an alert that was asked with it).
    """

    __tablename__ = "alerts"
    __table_args__ = (
        UniqueConstraint("fingerprint", "starts_at", name="uq_alerts_fingerprint_starts_at"),
        Index(None, "ends_at"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    fingerprint: Mapped[str] = mapped_column(String(64))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    resolved: Mapped[bool]
    heard_at: Mapped[datetime] = mapped_column(default=utc_now)
    labels: Mapped[dict[str, Any]] = mapped_column(JSON())
    annotations: Mapped[dict[str, Any]] = mapped_column(JSON())
    generator_url: Mapped[str] = mapped_column(Text())

    firing: Mapped[bool] = query_expression()


class AlertHeartbeat(Base):
    """The heartbeat of alerting: that alerts get from Prometheus by an Alertmanager to us.

    Attributes: expected_since (since when somebody has waited for it), heard_at (when it was last
    told), evaluated (when Prometheus had evaluated its rule, as it was told then), beat_at (when it
    last told something new: the same again is an Alertmanager without a Prometheus), link, says,
    next_step (where the chain is cut and what to do, as found while it is missing).
    """

    __tablename__ = "alert_heartbeats"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    expected_since: Mapped[datetime] = mapped_column(default=utc_now)
    heard_at: Mapped[datetime | None]
    evaluated: Mapped[str | None] = mapped_column(String(64))
    beat_at: Mapped[datetime | None]
    link: Mapped[str | None] = mapped_column(String(32))
    says: Mapped[str | None] = mapped_column(Text())
    next_step: Mapped[str | None] = mapped_column(Text())
