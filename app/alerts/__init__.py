"""Alerts: what Alertmanager tells this service, and who fires now."""

from typing import TYPE_CHECKING

from app.alerts.routes import api
from app.alerts.service import Alerts

if TYPE_CHECKING:
    from app.settings import Settings
    from app.storage import Database

__all__ = ["Alerts", "api", "build"]


def build(settings: "Settings", database: "Database") -> Alerts:
    """Return the alerts."""
    return Alerts(database, settings.alerts_expire)
