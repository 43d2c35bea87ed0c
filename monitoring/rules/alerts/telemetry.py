"""Alerts on what measures the service: while it is blind, every other alert is silent."""

from monitoring.rules import thresholds as t
from monitoring.rules.expressions import either, increases, select
from monitoring.rules.rule import Alert, Group

# Shorter than the alert is pending: a scrape that had a hiccup is forgotten before it is told.
_UNREADABLE = increases(
    "job, instance, collector", "vibebox_metrics_collect_errors_total", window="3m"
)
_UP = f"{select('up')} == 1"


_HIDDEN, _SILENT = 'state="hidden"', 'state="silent"'


def _latest(family: str, *matchers: str, by: str) -> str:
    """Return what any worker has said within a minute: they answer in turn, and may differ."""
    series = select(f"vibebox_metrics_{family}", *matchers)
    return f"max by ({by}) (max_over_time({series}[1m]))"


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
                "MetricsHidden",
                "critical",
                "telemetry",
                "2m",
                f"{_latest('processes', _HIDDEN, by='job, instance')} > 0",
                "Scrapes of {{ $labels.instance }} leave out what some of its processes count",
                "{{ $value }} of its processes have no place in the directory of the metrics: "
                "other alerts and the dashboards see nothing of them.",
                "telemetry",
            ),
            Alert(
                "ProcessSilent",
                "warning",
                "application",
                "2m",
                f"{_latest('processes', _SILENT, by='job, instance')} > 0",
                "Processes of {{ $labels.instance }} stand still",
                "{{ $value }} of them are there and have published nothing for 20 seconds and "
                "more: stopped, frozen, or so short of CPU that nothing gets done.",
                "telemetry",
            ),
            Alert(
                "MetricsDirectoryFailing",
                "warning",
                "telemetry",
                "2m",
                f"{_latest('directory_trouble', by='job, instance, reason')} > 0",
                "{{ $labels.instance }} cannot write its metrics: {{ $labels.reason }}",
                "New series, and processes that start now, find no place in the directory of the "
                "metrics: what they count is not shown.",
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
