"""The table of permissions: which scope and which role each action needs.

It stands in docs/permissions.md as well, generated from here. Whoever adds an action enters it
here; a test walks every route in every role.
"""

from enum import StrEnum
from typing import NamedTuple


class Scope(StrEnum):
    """What a credential is good for, whatever its owner may do."""

    READ = "read"
    WRITE = "write"
    EXECUTE = "execute"


class Role(StrEnum):
    """What somebody is to a project or a team."""

    OWNER = "owner"  # of a project of one's own
    ADMIN = "admin"
    DEVELOPER = "developer"
    VIEWER = "viewer"


class Action(StrEnum):
    """What somebody may want to do."""

    ENVIRONMENT_READ = "environment.read"
    ENVIRONMENT_CREATE = "environment.create"
    ENVIRONMENT_CHANGE = "environment.change"
    ENVIRONMENT_DELETE = "environment.delete"
    ENVIRONMENT_OPERATE = "environment.operate"
    PROJECT_READ = "project.read"
    PROJECT_CREATE = "project.create"
    PROJECT_CHANGE = "project.change"
    PROJECT_DELETE = "project.delete"
    TEAM_READ = "team.read"
    TEAM_CHANGE = "team.change"
    TEAM_DELETE = "team.delete"
    TEAM_MEMBERS = "team.members"
    AUDIT_READ = "audit.read"
    QUOTA_READ = "quota.read"


class Rule(NamedTuple):
    """What an action needs."""

    scope: Scope
    roles: frozenset[Role]
    meaning: str


_ALL = frozenset(Role)
_MAKERS = frozenset({Role.OWNER, Role.ADMIN, Role.DEVELOPER})
_CHIEFS = frozenset({Role.OWNER, Role.ADMIN})

RULES: dict[Action, Rule] = {
    Action.ENVIRONMENT_READ: Rule(Scope.READ, _ALL, "see environments, their logs and their use"),
    Action.ENVIRONMENT_CREATE: Rule(Scope.WRITE, _MAKERS, "create environments"),
    Action.ENVIRONMENT_CHANGE: Rule(Scope.WRITE, _MAKERS, "change environments"),
    Action.ENVIRONMENT_DELETE: Rule(Scope.WRITE, _MAKERS, "delete environments"),
    Action.ENVIRONMENT_OPERATE: Rule(
        Scope.EXECUTE, _MAKERS, "start, stop, restart, pause and unpause environments"
    ),
    Action.PROJECT_READ: Rule(Scope.READ, _ALL, "see projects"),
    Action.PROJECT_CREATE: Rule(Scope.WRITE, _CHIEFS, "create projects"),
    Action.PROJECT_CHANGE: Rule(Scope.WRITE, _CHIEFS, "rename projects"),
    Action.PROJECT_DELETE: Rule(Scope.WRITE, _CHIEFS, "delete empty projects"),
    Action.TEAM_READ: Rule(Scope.READ, _ALL, "see a team and its members"),
    Action.TEAM_CHANGE: Rule(Scope.WRITE, _CHIEFS, "rename a team"),
    Action.TEAM_DELETE: Rule(Scope.WRITE, _CHIEFS, "delete a team without projects"),
    Action.TEAM_MEMBERS: Rule(Scope.WRITE, _CHIEFS, "add, change and remove members"),
    Action.AUDIT_READ: Rule(Scope.READ, _CHIEFS, "read the audit log"),
    Action.QUOTA_READ: Rule(Scope.READ, _ALL, "see quotas and what is used of them"),
}


def decide(action: Action, role: Role | None, scopes: frozenset[Scope]) -> bool:
    """Tell whether somebody in `role` (None: a stranger), with these scopes, may do `action`."""
    rule = RULES[action]
    return role in rule.roles and rule.scope in scopes


def permissions_table() -> str:
    """Return the table in Markdown: an action a row, a role a column."""
    roles = tuple(Role)
    lines = [
        f"| to | scope | {' | '.join(roles)} |",
        f"|---|---|{'---|' * len(roles)}",
    ]
    for rule in RULES.values():
        may = " | ".join("yes" if role in rule.roles else "" for role in roles)
        lines.append(f"| {rule.meaning} | {rule.scope} | {may} |")
    return "\n".join(lines) + "\n"
