"""Alerts on what the service needs, but can be ready without."""

from monitoring.rules.expressions import select
from monitoring.rules.rule import Alert, Group

# Whether an agent leads, and what is wrong with the directory of the metrics, have alerts of their
# own.
_OPTIONAL = select("vibebox_health_check_up", 'required="false"', 'check!~"agent|disk"')

GROUPS = (
    Group(
        "dependencies",
        (
            Alert(
                "DependencyUnavailable",
                "warning",
                "application",
                "5m",
                f"min by (job, instance, check) ({_OPTIONAL}) == 0",
                "{{ $labels.instance }} does without: {{ $labels.check }} is not well",
                "The check {{ $labels.check }} has failed for 5 minutes. The service is ready "
                "without it, and refuses what needs it.",
                "telemetry",
            ),
        ),
    ),
)
