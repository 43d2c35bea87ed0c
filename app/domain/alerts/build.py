"""The service of alerts, from the settings."""

from app.core.settings import Settings
from app.domain.alerts.service import Alerts
from app.storage import Database


def build(settings: Settings, database: Database) -> Alerts:
    """Return the alerts."""
    return Alerts(database, settings.alerts_expire)
