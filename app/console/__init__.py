"""The console: pages at `/` for the developer in front of VibeBox, on top of the public API.

The pages hold nothing of anybody's: they are shells that one small script fills through
`/api/v1`, as whoever has signed in. So they need no login to be served, and the rules of who may
see what stand in one place.
"""

from typing import TYPE_CHECKING, Any

from app.alerts.schemas import AlertView
from app.console.access_routes import api as access
from app.console.errors import init_app
from app.console.monitoring import Monitoring, shown_alert
from app.console.routes import pages

if TYPE_CHECKING:
    from app.alerts import Alerts
    from app.settings import Settings

__all__ = ["Monitoring", "access", "build", "init_app", "pages"]


def build(settings: "Settings", alerts: "Alerts") -> Monitoring:
    """Return what the health strip reads from."""

    def received() -> list[dict[str, Any]]:
        views = map(AlertView.of, alerts.firing())
        found = [shown_alert(v.name, v.severity, v.summary, v.runbook_url) for v in views]
        unique = {(one["name"], one["severity"]): one for one in found}
        return [unique[key] for key in sorted(unique)]

    receives = settings.alerts_token is not None
    return Monitoring(settings.prometheus_url, received if receives else None)
