"""The alert on alerting itself: it always fires, and is missed where it does not arrive."""

from monitoring.rules.rule import Alert, Group

WATCHDOG = "Watchdog"
EVALUATED = "evaluated_at"
"""The annotation by which the receiver sees that Prometheus lives: Alertmanager repeats for minutes
what one that has died said last. `app.domain.alerts.heartbeat` has both names too."""

GROUPS = (
    Group(
        "alerting",
        (
            Alert(
                WATCHDOG,
                "none",
                "alerting",
                "0m",
                "vector(time())",
                "Alerts arrive",
                "This alert always fires. Where it is missing, no other one arrives either: "
                "Prometheus, Alertmanager or the way between them is broken.",
                "telemetry",
                annotations=((EVALUATED, '{{ $value | printf "%.3f" }}'),),
            ),
        ),
    ),
)
