"""What the service itself asks a Prometheus that watches it."""

from app.metrics.catalogue import REQUESTS
from app.stores.prometheus import JOB

_OURS = f'job="{JOB}"'

REQUEST_RATE = f"sum(rate({REQUESTS.requests.name}{{{_OURS}}}[5m]))"
"""Requests a second, of the past five minutes."""

LATENCY = (
    f"histogram_quantile(0.95, sum by (le) (rate({REQUESTS.duration.name}_bucket{{{_OURS}}}[5m])))"
)
"""Seconds within which 95 of 100 requests were answered."""

UP = f"up{{{_OURS}}}"
"""1 for each target of ours that is scraped, 0 for each that is not."""


def refused_notifications(seconds: float) -> str:
    """Return what asks which notifications of Alertmanager were refused of late, by status."""
    return (
        f"sum by (status_code) (increase({REQUESTS.requests.name}"
        f'{{{_OURS},method="POST",route="/api/v1/alerts",status_code!~"2.."}}[{seconds:.0f}s])) > 0'
    )


def failed_webhooks(seconds: float) -> str:
    """Return what asks which an Alertmanager could not deliver of late, where it is scraped."""
    name = "alertmanager_notifications_failed_total"
    return f'sum(increase({name}{{integration="webhook"}}[{seconds:.0f}s])) > 0'
