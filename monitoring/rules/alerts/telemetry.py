"""Alerts on what measures the service: while it is blind, every other alert is silent."""

from monitoring.rules import thresholds as t
from monitoring.rules.expressions import either, increases, select
from monitoring.rules.rule import Alert, Group

# Shorter than the alert is pending: a scrape that had a hiccup is forgotten before it is told.
_UNREADABLE = increases(
    "job, instance, collector", "vibebox_metrics_collect_errors_total", window="3m"
)
_UP = f"{select('up')} == 1"


def _moves(counter: str, *matchers: str, window: str) -> str:
    return f"rate({select(counter, *matchers)}[{window}]) > 0"


# What moves by itself: each scrape is a request and counts itself, and the checks run every
# VIBEBOX_HEALTH_CHECK_INTERVAL.
_ALWAYS_MOVING = {
    "requests": _moves("vibebox_http_requests_total", 'route="/health/metrics"', window="3m"),
    "checks": _moves("vibebox_health_check_duration_seconds_count", window="10m"),
}


def _stands(part: str) -> str:
    """Return a condition: the target is scraped, and what always moves stands still or is gone."""
    moves = f"{_UP}\nunless on (job, instance)\n{_ALWAYS_MOVING[part]}"
    return f'label_replace(\n{moves},\n"part", "{part}", "", ""\n)'


GROUPS = (
    Group(
        "telemetry",
        (
            Alert(
                "MetricsMissing",
                "critical",
                "telemetry",
                "3m",
                either(*map(_stands, _ALWAYS_MOVING)),
                "{{ $labels.instance }} shows metrics that stand still",
                "Scrapes succeed, but the {{ $labels.part }} that they show are old or none: other "
                "alerts and the dashboards see nothing of this instance.",
                "telemetry",
            ),
            Alert(
                "MetricsCollectErrors",
                "warning",
                "telemetry",
                "5m",
                f"{_UNREADABLE} > 0",
                "{{ $labels.instance }} leaves something out of its metrics",
                "The part {{ $labels.collector }} could not be read again and again in the past "
                "5 minutes: dashboards and alerts on it see nothing.",
                "telemetry",
            ),
            Alert(
                "ScrapeNearTimeout",
                "warning",
                "telemetry",
                "10m",
                f"{select('scrape_duration_seconds')} > {t.SCRAPE_SECONDS}",
                "Scrapes of {{ $labels.instance }} take long",
                'A scrape takes {{ $value | printf "%.1f" }} s; after 10 s Prometheus gives up, '
                "and ServiceDown follows.",
                "telemetry",
            ),
        ),
    ),
)
