"""The table of permissions: which scope and which role each action needs.

It stands in docs/permissions.md as well, generated from here. Whoever adds an action enters it
here; a test walks every route in every role.
"""

from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import Field


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


class Who(StrEnum):
    """Whom an action is open to."""

    ROLE = "role"  # whoever has a role in the project or team that allows it
    ANYBODY = "anybody"  # every account
    LOGIN = "login"  # every account, by a login and not by an API key
    OPERATOR = "operator"  # accounts that look after the service
    OPERATOR_LOGIN = "operator_login"  # the same, by a login and not by an API key


class Action(StrEnum):
    """What somebody may want to do."""

    ENVIRONMENT_READ = "environment.read"
    ENVIRONMENT_CREATE = "environment.create"
    ENVIRONMENT_CHANGE = "environment.change"
    ENVIRONMENT_DELETE = "environment.delete"
    ENVIRONMENT_OPERATE = "environment.operate"
    SESSION_USE = "session.use"
    EXTENSION_CHANGE = "extension.change"
    PROJECT_READ = "project.read"
    PROJECT_CREATE = "project.create"
    PROJECT_CHANGE = "project.change"
    PROJECT_DELETE = "project.delete"
    TEAM_CREATE = "team.create"
    TEAM_READ = "team.read"
    TEAM_CHANGE = "team.change"
    TEAM_DELETE = "team.delete"
    TEAM_MEMBERS = "team.members"
    TEAM_LEAVE = "team.leave"
    AUDIT_READ = "audit.read"
    USAGE_READ = "usage.read"
    BUSINESS_READ = "business.read"
    QUOTA_READ = "quota.read"
    QUOTA_CHANGE = "quota.change"
    ALERT_READ = "alert.read"
    SILENCE_READ = "silence.read"
    SILENCE_CHANGE = "silence.change"
    SIGNAL_READ = "signal.read"
    SERVICE_LOG_READ = "service_log.read"
    SERVICE_EXAMINE = "service.examine"
    API_KEY_READ = "api_key.read"
    API_KEY_CHANGE = "api_key.change"
    LOGOUT = "logout"
    LOGIN_READ = "login.read"
    LOGIN_END = "login.end"
    PASSWORD_CHANGE = "password.change"
    ACCOUNT_READ = "account.read"
    ACCOUNT_CHANGE = "account.change"


class Rule(NamedTuple):
    """What an action needs."""

    scope: Scope
    roles: frozenset[Role]
    meaning: str
    who: Who = Who.ROLE


_ALL = frozenset(Role)
_NONE: frozenset[Role] = frozenset()
_MAKERS = frozenset({Role.OWNER, Role.ADMIN, Role.DEVELOPER})
_CHIEFS = frozenset({Role.OWNER, Role.ADMIN})

RULES: dict[Action, Rule] = {
    Action.ENVIRONMENT_READ: Rule(
        Scope.READ, _ALL, "see environments, their logs, sessions, extensions and use"
    ),
    Action.ENVIRONMENT_CREATE: Rule(Scope.WRITE, _MAKERS, "create environments"),
    Action.ENVIRONMENT_CHANGE: Rule(Scope.WRITE, _MAKERS, "change environments"),
    Action.ENVIRONMENT_DELETE: Rule(Scope.WRITE, _MAKERS, "delete environments"),
    Action.ENVIRONMENT_OPERATE: Rule(
        Scope.EXECUTE, _MAKERS, "start, stop, restart, pause and unpause environments"
    ),
    Action.SESSION_USE: Rule(
        Scope.EXECUTE, _MAKERS, "start and end sessions, and use their terminals"
    ),
    Action.EXTENSION_CHANGE: Rule(Scope.EXECUTE, _MAKERS, "install and remove extensions"),
    Action.PROJECT_READ: Rule(Scope.READ, _ALL, "see projects"),
    Action.PROJECT_CREATE: Rule(Scope.WRITE, _CHIEFS, "create projects"),
    Action.PROJECT_CHANGE: Rule(Scope.WRITE, _CHIEFS, "rename projects"),
    Action.PROJECT_DELETE: Rule(Scope.WRITE, _CHIEFS, "delete empty projects"),
    Action.TEAM_CREATE: Rule(Scope.WRITE, _NONE, "create teams", Who.ANYBODY),
    Action.TEAM_READ: Rule(Scope.READ, _ALL, "see a team and its members"),
    Action.TEAM_CHANGE: Rule(Scope.WRITE, _CHIEFS, "rename a team"),
    Action.TEAM_DELETE: Rule(Scope.WRITE, _CHIEFS, "delete a team without projects"),
    Action.TEAM_MEMBERS: Rule(Scope.WRITE, _CHIEFS, "add, change and remove members"),
    Action.TEAM_LEAVE: Rule(Scope.WRITE, _ALL, "leave a team"),
    Action.AUDIT_READ: Rule(Scope.READ, _CHIEFS, "read the audit log of a project or team"),
    Action.USAGE_READ: Rule(
        Scope.READ, _ALL, "see what the environments of a project or team have used"
    ),
    Action.QUOTA_READ: Rule(Scope.READ, _ALL, "see quotas and what is used of them"),
    Action.QUOTA_CHANGE: Rule(Scope.WRITE, _NONE, "set quotas", Who.OPERATOR),
    Action.ALERT_READ: Rule(Scope.READ, _NONE, "see the alerts of the service", Who.ANYBODY),
    Action.SILENCE_READ: Rule(Scope.READ, _NONE, "see the silences of Alertmanager", Who.OPERATOR),
    Action.SILENCE_CHANGE: Rule(
        Scope.WRITE, _NONE, "silence alerts, and end silences", Who.OPERATOR
    ),
    Action.SIGNAL_READ: Rule(
        Scope.READ,
        _NONE,
        "see series, exemplars and traces of the service, and what an alert comes from",
        Who.OPERATOR,
    ),
    Action.SERVICE_LOG_READ: Rule(
        Scope.READ, _NONE, "read the service's own log lines of a request or trace", Who.OPERATOR
    ),
    Action.SERVICE_EXAMINE: Rule(
        Scope.READ, _NONE, "have the installation examined (the doctor)", Who.OPERATOR
    ),
    Action.BUSINESS_READ: Rule(
        Scope.READ, _NONE, "see how many sign up, get to a shell and come back", Who.OPERATOR
    ),
    Action.API_KEY_READ: Rule(Scope.READ, _NONE, "see their own API keys", Who.ANYBODY),
    Action.API_KEY_CHANGE: Rule(Scope.WRITE, _NONE, "make and revoke API keys", Who.LOGIN),
    Action.LOGOUT: Rule(Scope.WRITE, _NONE, "log out", Who.LOGIN),
    Action.LOGIN_READ: Rule(Scope.READ, _NONE, "see their own logins", Who.LOGIN),
    Action.LOGIN_END: Rule(Scope.WRITE, _NONE, "end their own logins", Who.LOGIN),
    Action.PASSWORD_CHANGE: Rule(Scope.WRITE, _NONE, "change their own password", Who.LOGIN),
    Action.ACCOUNT_READ: Rule(Scope.READ, _NONE, "see all accounts and invitations", Who.OPERATOR),
    Action.ACCOUNT_CHANGE: Rule(
        Scope.WRITE,
        _NONE,
        "invite, disable, enable and delete accounts, and set their passwords",
        Who.OPERATOR_LOGIN,
    ),
}
_OPEN_TO = {
    Who.ANYBODY: "every account",
    Who.LOGIN: "every account, by a login; not by an API key",
    Who.OPERATOR: "operators",
    Who.OPERATOR_LOGIN: "operators, by a login; not by an API key",
}


def decide(action: Action, role: Role | None, scopes: frozenset[Scope]) -> bool:
    """Tell whether somebody in `role` (None: a stranger), with these scopes, may do `action`."""
    rule = RULES[action]
    return role in rule.roles and rule.scope in scopes


ON_ENVIRONMENTS = (
    Action.ENVIRONMENT_READ,
    Action.ENVIRONMENT_CHANGE,
    Action.ENVIRONMENT_DELETE,
    Action.ENVIRONMENT_OPERATE,
    Action.SESSION_USE,
    Action.EXTENSION_CHANGE,
)
ON_PROJECTS = (
    Action.PROJECT_READ,
    Action.PROJECT_CHANGE,
    Action.PROJECT_DELETE,
    Action.ENVIRONMENT_CREATE,
    Action.AUDIT_READ,
    Action.USAGE_READ,
)
ON_TEAMS = (
    Action.TEAM_READ,
    Action.TEAM_CHANGE,
    Action.TEAM_DELETE,
    Action.TEAM_MEMBERS,
    Action.TEAM_LEAVE,
    Action.PROJECT_CREATE,
    Action.QUOTA_READ,
    Action.AUDIT_READ,
    Action.USAGE_READ,
)
"""What can be done to one of each, and is told with it."""

May = Annotated[
    list[Action],
    Field(
        description="What you may do to it with this credential; docs/permissions.md says what "
        "each is.",
        examples=[["environment.read", "environment.operate"]],
    ),
]
"""For answers: so that nobody is offered what would be refused."""


def permissions_table() -> str:
    """Return the table in Markdown: an action a row; first by roles, then what needs none."""
    roles = tuple(Role)
    lines = [
        f"| to | scope | {' | '.join(roles)} |",
        f"|---|---|{'---|' * len(roles)}",
    ]
    for rule in RULES.values():
        if rule.who is Who.ROLE:
            may = " | ".join("yes" if role in rule.roles else "" for role in roles)
            lines.append(f"| {rule.meaning} | {rule.scope} | {may} |")
    lines += ["", "| to | scope | who may |", "|---|---|---|"]
    for rule in RULES.values():
        if rule.who is not Who.ROLE:
            lines.append(f"| {rule.meaning} | {rule.scope} | {_OPEN_TO[rule.who]} |")
    return "\n".join(lines) + "\n"
