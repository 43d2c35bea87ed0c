"""Who may do what: one table, and the questions that services ask of it."""

from app.authorization.access import (
    environment_for,
    may_in,
    project_for,
    readable_projects,
    refusals,
    role_in_team,
    team_for,
)
from app.authorization.identity import Access, Identity
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
    "Access",
    "Action",
    "Identity",
    "Role",
    "Scope",
    "Who",
    "decide",
    "environment_for",
    "may_in",
    "permissions_table",
    "project_for",
    "readable_projects",
    "refusals",
    "role_in_team",
    "team_for",
]
