"""All alerts but those on budgets, in the categories that operators know."""

from monitoring.rules.alerts import application, environments, traffic

GROUPS = (*traffic.GROUPS, *application.GROUPS, *environments.GROUPS)
