"""What the service itself asks a Prometheus that watches it."""

from app.metrics.catalogue import REQUESTS

# One Prometheus watches many services: job is ours, as in monitoring/prometheus.
_OURS = 'job="vibebox-backend"'

REQUEST_RATE = f"sum(rate({REQUESTS.requests.name}{{{_OURS}}}[5m]))"
"""Requests a second, of the past five minutes."""

LATENCY = (
    f"histogram_quantile(0.95, sum by (le) (rate({REQUESTS.duration.name}_bucket{{{_OURS}}}[5m])))"
)
"""Seconds within which 95 of 100 requests were answered."""

FIRING = f'ALERTS{{alertstate="firing",{_OURS}}}'
"""The alerts that fire."""
