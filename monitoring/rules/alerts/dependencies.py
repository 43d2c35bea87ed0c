"""Alerts on what the service needs, but can be ready without."""

from monitoring.rules.expressions import select
from monitoring.rules.rule import Alert, Group

# Whether an agent leads has an alert of its own.
_OPTIONAL = select("vibebox_health_check_up", 'required="false"', 'check!="agent"')

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
