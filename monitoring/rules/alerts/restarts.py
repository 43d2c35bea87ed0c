"""Alerts on what comes back each time before an alert on its absence is due."""

from monitoring.rules import thresholds as t
from monitoring.rules.expressions import select
from monitoring.rules.rule import Alert, Group

_TIMES = '{{ $value | printf "%.0f" }} times'


def _starts(process: str) -> str:
    """Return how often another process took this place in half an hour."""
    started = select("vibebox_process_start_time_seconds", f'worker="{process}"')
    return f"max by (job, instance) (changes({started}[30m]))"


GROUPS = (
    Group(
        "restarts",
        (
            Alert(
                "ServiceRestarting",
                "critical",
                "application",
                "0m",
                f"{_starts('master')} >= {t.RESTARTS}",
                "VibeBox at {{ $labels.instance }} restarts again and again",
                f"It was started anew {_TIMES} in the past half hour. Meanwhile connections are "
                "refused, which no count of requests shows.",
                "vibebox-overview",
            ),
            Alert(
                "AgentRestarting",
                "warning",
                "agent",
                "0m",
                f"{_starts('agent')} >= {t.RESTARTS}",
                "The agent at {{ $labels.instance }} restarts again and again",
                f"It was started anew {_TIMES} in the past half hour.",
                "telemetry",
            ),
            Alert(
                "ServiceFlapping",
                "critical",
                "application",
                "0m",
                # Away and back again are two changes.
                f"max by (job, instance) (changes({select('up')}[30m])) / 2 >= {t.OUTAGES}",
                "VibeBox at {{ $labels.instance }} comes and goes",
                f"Prometheus lost it {_TIMES} in the past half hour. Alerts that have to hold for "
                "minutes begin anew each time.",
                "vibebox-overview",
            ),
        ),
    ),
)
