"""What the console reads beside the API, from the settings."""

from typing import TYPE_CHECKING, Any

from app.web.api.schemas.alerts import AlertView
from app.web.console.monitoring import Monitoring, shown_alert

if TYPE_CHECKING:
    from app.core.settings import Settings
    from app.domain.alerts.service import Alerts
    from app.stores.build import Stores


def build(settings: "Settings", alerts: "Alerts", stores: "Stores") -> Monitoring:
    """Return what the health strip reads from."""

    def received() -> list[dict[str, Any]]:
        views = map(AlertView.of, alerts.firing())
        found = [
            shown_alert(v.name, v.severity, v.summary, v.runbook_url, v.fingerprint) for v in views
        ]
        unique = {(one["name"], one["severity"]): one for one in found}
        return [unique[key] for key in sorted(unique)]

    receives = settings.alerts_token is not None
    return Monitoring(stores.prometheus, received if receives else None)
