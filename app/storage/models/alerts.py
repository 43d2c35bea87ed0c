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
