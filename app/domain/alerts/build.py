"""The service of alerts, from the settings."""

from app.core.settings import Settings
from app.domain.alerts.heartbeat import Heartbeat
from app.domain.alerts.service import Alerts
from app.domain.alerts.sources import AlertSources
from app.storage import Database
from app.stores.build import Stores


def build(settings: Settings, database: Database) -> Alerts:
    """Return the alerts."""
    return Alerts(database, settings.alerts_expire, build_heartbeat(settings, database))


def build_sources(settings: Settings, alerts: Alerts, stores: Stores) -> AlertSources:
    """Return where it is read which alerts fire."""
    return AlertSources(alerts, stores.prometheus, receives=settings.alerts_token is not None)


def build_heartbeat(settings: Settings, database: Database) -> Heartbeat:
    """Return the heartbeat of alerting, which is expected where alerts are."""
    limit = 0.0 if settings.alerts_token is None else settings.alerts_heartbeat
    return Heartbeat(database, limit)
