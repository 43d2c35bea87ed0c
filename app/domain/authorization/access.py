"""Finds what an action is about, if the caller may do it.

What the caller may not even read does not exist for them: 404 and not 403, so that an id tells
nothing. Every function takes the session of the caller's transaction.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import TypeVar

from sqlalchemy import ColumnElement, Row, Select, and_, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.core.errors import (
    EnvironmentNotFoundError,
    PermissionDeniedError,
    ProjectNotFoundError,
    TeamNotFoundError,
    VibeBoxError,
)
from app.domain.authorization.identity import Access, Identity
from app.domain.authorization.table import RULES, Action, Role, Scope, Who, decide
from app.storage import ApiKey, Environment, Membership, Project, Team

Thing = TypeVar("Thing", Environment, Project)


def readable_projects(identity: Identity) -> ColumnElement[bool]:
    """Return the condition on `Project` that the caller sees it, for queries over many."""
    teams = select(Membership.team_id).where(Membership.user_id == identity.user_id)
    return or_(Project.owner_user_id == identity.user_id, Project.owner_team_id.in_(teams))


def environment_for(
    session: Session,
    identity: Identity,
    environment_id: str,
    action: Action,
    *,
    lock: bool = False,
) -> Environment:
    """Return the environment; `lock` keeps others from changing its row meanwhile.

    Raises: EnvironmentNotFoundError, PermissionDeniedError.
    """
    query = (
        select(Environment, Project, Membership)
        .join(Project, Environment.project_id == Project.id)
        .outerjoin(Membership, _membership_of(identity, Project.owner_team_id))
        .where(Environment.id == environment_id)
    )
    if lock:
        query = query.with_for_update(of=Environment)
    found = session.execute(query).one_or_none()
    if found is None:
        raise EnvironmentNotFoundError
    environment, project, membership = found
    role = _role(identity, project, membership)
    _demand(identity, action, role, EnvironmentNotFoundError)
    result: Environment = environment
    result.caller_role = role
    return result


def environments_seen(identity: Identity) -> Select[Environment, str | None, str | None]:
    """Return the query for the environments that the caller sees, with what `seen` makes of it."""
    return (
        select(Environment, Project.owner_user_id, Membership.role)
        .join(Project, Environment.project_id == Project.id)
        .outerjoin(Membership, _membership_of(identity, Project.owner_team_id))
        .where(readable_projects(identity))
    )


def projects_seen(identity: Identity) -> Select[Project, str | None, str | None]:
    """Return the query for the projects that the caller sees, with what `seen` makes of it."""
    return (
        select(Project, Project.owner_user_id, Membership.role)
        .outerjoin(Membership, _membership_of(identity, Project.owner_team_id))
        .where(readable_projects(identity))
    )


def seen(identity: Identity, rows: Iterable[Row[Thing, str | None, str | None]]) -> list[Thing]:
    """Return what was found, each with what the caller is to it."""
    found = []
    for thing, owner, role in rows:
        thing.caller_role = Role.OWNER if owner == identity.user_id else role
        found.append(thing)
    return found


def refusals(session: Session, accesses: Collection[Access]) -> dict[Access, VibeBoxError]:
    """Return those of the accesses that are allowed no more, each with the reason.

    Two statements for all of them, however many there are: what `environment_for` and `may_in` say
    to each, of roles and of the scopes of API keys as they are now.
    """
    roles = _roles(session, accesses)
    scopes = _scopes(session, accesses)
    refused: dict[Access, VibeBoxError] = {}
    for one in accesses:
        now = scopes.get(one.identity.api_key_id or "", one.identity.scopes)
        identity = replace(one.identity, scopes=now)
        try:
            if one.environment_id is None:
                may_in(identity, one.action)
            else:
                role = roles.get((one.environment_id, identity.user_id))
                _demand(identity, one.action, role, EnvironmentNotFoundError)
        except VibeBoxError as error:
            refused[one] = error
    return refused


def _roles(session: Session, accesses: Collection[Access]) -> dict[tuple[str, str], Role]:
    """Return who is what to which environment."""
    environments = {one.environment_id for one in accesses if one.environment_id is not None}
    if not environments:
        return {}
    users = {one.identity.user_id for one in accesses}
    found = session.execute(
        select(Environment.id, Project.owner_user_id, Membership.user_id, Membership.role)
        .join(Project, Environment.project_id == Project.id)
        .outerjoin(
            Membership,
            and_(Membership.team_id == Project.owner_team_id, Membership.user_id.in_(users)),
        )
        .where(Environment.id.in_(environments))
    )
    roles: dict[tuple[str, str], Role] = {}
    for environment_id, owner, member, role in found:
        if owner is not None:
            roles[environment_id, owner] = Role.OWNER
        if member is not None:
            roles[environment_id, member] = Role(role)
    return roles


def _scopes(session: Session, accesses: Collection[Access]) -> dict[str, frozenset[Scope]]:
    """Return what the API keys are good for."""
    keys = {one.identity.api_key_id for one in accesses if one.identity.api_key_id is not None}
    if not keys:
        return {}
    found = session.execute(select(ApiKey.id, ApiKey.scopes).where(ApiKey.id.in_(keys)))
    return {id: frozenset(one for one in Scope if one in scopes) for id, scopes in found}


def project_for(session: Session, identity: Identity, project_id: str, action: Action) -> Project:
    """Return the project. Raises: ProjectNotFoundError, PermissionDeniedError."""
    found = session.execute(
        select(Project, Membership)
        .outerjoin(Membership, _membership_of(identity, Project.owner_team_id))
        .where(Project.id == project_id)
    ).one_or_none()
    if found is None:
        raise ProjectNotFoundError
    project, membership = found
    role = _role(identity, project, membership)
    _demand(identity, action, role, ProjectNotFoundError)
    result: Project = project
    result.caller_role = role
    return result


def team_for(session: Session, identity: Identity, team_id: str, action: Action) -> Team:
    """Return the team. Raises: TeamNotFoundError, PermissionDeniedError."""
    team = session.get(Team, team_id)
    role = role_in_team(session, identity, team_id)
    if team is None:
        raise TeamNotFoundError
    _demand(identity, action, role, TeamNotFoundError)
    return team


def role_in_team(session: Session, identity: Identity, team_id: str) -> Role | None:
    """Return what the caller is in the team; None for a stranger."""
    membership = session.get(Membership, (team_id, identity.user_id))
    return None if membership is None else Role(membership.role)


def may_in(identity: Identity, action: Action) -> None:
    """Refuse who may not do `action` whatever it is about, before anything is looked up.

    All there is to ask where no role is needed; the first question where one is.
    Raises: PermissionDeniedError.
    """
    rule = RULES[action]
    if rule.scope not in identity.scopes:
        raise PermissionDeniedError(_missing_scope(action))
    if rule.who in (Who.OPERATOR, Who.OPERATOR_LOGIN) and not identity.is_operator:
        raise PermissionDeniedError(
            f"Only operators may {rule.meaning}. Whoever runs the service makes one, on its host: "
            "`vibebox operators grant EMAIL`."
        )
    if rule.who in (Who.LOGIN, Who.OPERATOR_LOGIN) and identity.grant_id is None:
        raise PermissionDeniedError(f"An API key may not {rule.meaning}; log in.")


def may(identity: Identity, actions: Iterable[Action], role: str | None) -> list[Action]:
    """Return which of the actions the caller may do to what they are `role` to."""
    known = None if role is None else Role(role)
    return [action for action in actions if decide(action, known, identity.scopes)]


def may_anywhere(identity: Identity) -> list[Action]:
    """Return the actions that need no role, and what everybody may do with what is their own."""
    found = []
    for action, rule in RULES.items():
        if rule.who is Who.ROLE and Role.OWNER not in rule.roles:
            continue
        try:
            may_in(identity, action)
        except PermissionDeniedError:
            continue
        found.append(action)
    return found


def _membership_of(
    identity: Identity, team_id: InstrumentedAttribute[str | None]
) -> ColumnElement[bool]:
    return and_(Membership.team_id == team_id, Membership.user_id == identity.user_id)


def _role(identity: Identity, project: Project, membership: Membership | None) -> Role | None:
    if project.owner_user_id == identity.user_id:
        return Role.OWNER
    return None if membership is None else Role(membership.role)


def _demand(
    identity: Identity, action: Action, role: Role | None, unseen: type[VibeBoxError]
) -> None:
    if role is None:
        raise unseen
    if RULES[action].scope not in identity.scopes:
        raise PermissionDeniedError(_missing_scope(action))
    if not decide(action, role, identity.scopes):
        raise PermissionDeniedError(
            f"As {role} you may not {RULES[action].meaning}; ask an admin of the team."
        )


def _missing_scope(action: Action) -> str:
    scope = RULES[action].scope
    return f"This API key lacks the scope '{scope}'; make one that has it, or log in."
