"""The service of alerts, from the settings."""

from app.alerts.service import Alerts
from app.settings import Settings
from app.storage import Database


def build(settings: Settings, database: Database) -> Alerts:
    """Return the alerts."""
    return Alerts(database, settings.alerts_expire)
