"""All alerts but those on budgets, first those in the categories that operators know."""

from monitoring.rules.alerts import (
    accounts,
    agent,
    alerting,
    application,
    dependencies,
    environments,
    probe,
    restarts,
    saturation,
    telemetry,
    traffic,
)

GROUPS = (
    *traffic.GROUPS,
    *application.GROUPS,
    *environments.GROUPS,
    *telemetry.GROUPS,
    *restarts.GROUPS,
    *agent.GROUPS,
    *dependencies.GROUPS,
    *saturation.GROUPS,
    *accounts.GROUPS,
    *probe.GROUPS,
    *alerting.GROUPS,
)
