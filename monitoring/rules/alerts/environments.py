"""Alerts on Docker and on the environments that run in it."""

from monitoring.rules import thresholds as t
from monitoring.rules.expressions import (
    both,
    floor,
    increases,
    quantile,
    rates,
    ratio,
    select,
    slower,
)
from monitoring.rules.rule import Alert, Group

_CALLS = "vibebox_docker_operations_total"
_TIMES = "vibebox_docker_operation_duration_seconds"
_STARTS = "vibebox_environment_start_duration_seconds"
# A ping comes every few seconds whether or not anybody uses Docker; NotReady watches those.
_FAILED = rates("job, operation", _CALLS, 'status="failure"', 'operation!="ping"')
_FAILURES = increases("job, operation", _CALLS, 'status="failure"', 'operation!="ping"')
_CALLED = rates("job, operation", _CALLS)
# Pulling an image takes minutes when nothing is wrong.
_NO_PULLS = 'operation!="pull"'
_STARTED = rates("job", f"{_STARTS}_count", 'outcome="success"', window="10m")
_KILLED = select("vibebox_environment_exits_total", 'reason="oom"')
_SECONDS = '{{ $value | printf "%.1f" }} s'


def _environments(*matchers: str, family: str = "vibebox_environments") -> str:
    """Counts of the database, which each instance reports: never summed over instances."""
    return f"max by (job) ({select(family, *matchers)})"


GROUPS = (
    Group(
        "docker-operations",
        (
            Alert(
                "HighDockerFailureRate",
                "warning",
                "docker",
                "5m",
                both(
                    ratio(_FAILED, _CALLED, f"> {t.DOCKER_FAILURE_RATIO}"),
                    floor(_CALLED),
                    f"{_FAILURES} >= {t.BAD_FLOOR}",
                ),
                "Docker fails at {{ $labels.operation }}",
                "{{ $value | humanizePercentage }} of the calls failed in the past 5 minutes.",
                "environments",
            ),
            Alert(
                "SlowDockerOperations",
                "warning",
                "docker",
                "5m",
                both(
                    quantile(0.95, "job, operation", _TIMES, _NO_PULLS) + f" > {t.DOCKER_SECONDS}",
                    floor(rates("job, operation", f"{_TIMES}_count")),
                    slower(t.DOCKER_SECONDS, "job, operation", _TIMES, _NO_PULLS),
                ),
                "Docker is slow at {{ $labels.operation }}",
                f"5 of 100 calls took {_SECONDS} or more in the past 5 minutes "
                f"(limit: {t.DOCKER_SECONDS} s).",
                "environments",
            ),
        ),
    ),
    Group(
        "environment-health",
        (
            Alert(
                "HighEnvironmentErrorRate",
                "warning",
                "environments",
                "5m",
                _environments('status="error"', family="vibebox_environments_total")
                + f" > {t.ENVIRONMENTS_IN_ERROR}",
                "Many environments are in error",
                '{{ $value | printf "%.0f" }} environments have the status error '
                f"(limit: {t.ENVIRONMENTS_IN_ERROR}).",
                "environments",
            ),
            Alert(
                "NoRunningEnvironments",
                "info",
                "environments",
                "30m",
                both(
                    _environments('status="running"') + " == 0",
                    f"{_environments()} > 0",
                ),
                "No environment is running",
                "There are environments, and none of them has been running for half an hour.",
                "environments",
            ),
            Alert(
                "EnvironmentStatusDrift",
                "warning",
                "environments",
                "1m",
                f"max by (job) ({select('vibebox_environment_drift')}) > 0",
                "The records of environments differ from Docker",
                "Environments whose status differs from that of their container: {{ $value }}. "
                "The agent mends that within seconds when it is well.",
                "telemetry",
            ),
            Alert(
                "EnvironmentsKilledByMemory",
                "warning",
                "environments",
                "0m",
                f"sum by (job) (increase({_KILLED}[10m])) > 0",
                "Environments run out of memory",
                "The kernel ended a container at its memory limit within the past 10 minutes.",
                "environments",
            ),
            Alert(
                "SlowEnvironmentStarts",
                "warning",
                "environments",
                "10m",
                both(
                    quantile(0.95, "job", _STARTS, 'outcome="success"', window="10m")
                    + f" > {t.START_SECONDS}",
                    # Starts are rare: over 5 minutes most services have fewer than the floor.
                    floor(_STARTED, window="10m"),
                    slower(t.START_SECONDS, "job", _STARTS, 'outcome="success"', window="10m"),
                ),
                "Environments start slowly",
                f"5 of 100 starts took {_SECONDS} or more in the past 10 minutes "
                f"(limit: {t.START_SECONDS} s).",
                "environments",
            ),
        ),
    ),
)
