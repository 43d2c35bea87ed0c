"""What the console reads beside the API, from the settings."""

from typing import TYPE_CHECKING, Any

from app.alerts.schemas import AlertView
from app.console.monitoring import Monitoring, shown_alert

if TYPE_CHECKING:
    from app.alerts.service import Alerts
    from app.settings import Settings


def build(settings: "Settings", alerts: "Alerts") -> Monitoring:
    """Return what the health strip reads from."""

    def received() -> list[dict[str, Any]]:
        views = map(AlertView.of, alerts.firing())
        found = [shown_alert(v.name, v.severity, v.summary, v.runbook_url) for v in views]
        unique = {(one["name"], one["severity"]): one for one in found}
        return [unique[key] for key in sorted(unique)]

    receives = settings.alerts_token is not None
    return Monitoring(settings.prometheus_url, received if receives else None)
