"""Who may do what: one table, and the questions that services ask of it."""

from app.authorization.access import (
    environment_for,
    environment_for_all,
    may_in,
    project_for,
    readable_projects,
    role_in_team,
    team_for,
)
from app.authorization.identity import Identity
from app.authorization.table import (
    RULES,
    Action,
    Role,
    Scope,
    Who,
    decide,
    permissions_table,
)

__all__ = [
    "RULES",
    "Action",
    "Identity",
    "Role",
    "Scope",
    "Who",
    "decide",
    "environment_for",
    "environment_for_all",
    "may_in",
    "permissions_table",
    "project_for",
    "readable_projects",
    "role_in_team",
    "team_for",
]
