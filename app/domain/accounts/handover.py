"""What an account would leave behind: named, or handed over to another one, before it is deleted.

Locks are taken in the order teams, accounts: as where members and environments are added.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import Session, aliased

from app.core.errors import AccountDisabledError
from app.domain import audit
from app.domain.authorization import Identity
from app.storage import Environment, Membership, Project, Team, TeamRole, User

_NAMED = 5
_LONGEST_NAME = 63
_HOW = "Delete them first, or name an account to hand them over to (transfer_to)."


@dataclass(frozen=True)
class Left:
    """What would be lost or orphaned: projects that hold environments, teams without an admin."""

    user: User
    environments: Sequence[str]
    projects: Sequence[Project]
    teams: Sequence[Team]

    def __bool__(self) -> bool:
        return bool(self.environments or self.teams)

    def in_words(self) -> str:
        """Return a sentence that names some of it, and says what to do."""
        parts = []
        if self.environments:
            parts.append(f"owns environments ({_some(self.environments)})")
        if self.teams:
            names = [team.name for team in self.teams]
            parts.append(f"is the only admin of teams ({_some(names)})")
        return f"The account {' and '.join(parts)}. {_HOW}"


def lock_teams(session: Session, user_id: str) -> None:
    """Keep others from changing the members of the account's teams until the transaction ends."""
    mine = select(Membership.team_id).where(Membership.user_id == user_id)
    session.execute(select(Team.id).where(Team.id.in_(mine)).order_by(Team.id).with_for_update())


def found(session: Session, user: User) -> Left:
    """Return what the account would leave behind; call it with its row locked."""
    own = Project.owner_user_id == user.id
    environments = session.scalars(
        select(Environment.name)
        .join(Project, Environment.project_id == Project.id)
        .where(own)
        .order_by(Environment.name)
    ).all()
    projects = session.scalars(
        select(Project).where(own, exists().where(Environment.project_id == Project.id))
    ).all()
    return Left(user, environments, projects, _only_admin_of(session, user.id))


def _only_admin_of(session: Session, user_id: str) -> Sequence[Team]:
    """Return the teams that have other members or projects, and no other admin."""
    other = aliased(Membership)
    others = exists().where(other.team_id == Team.id, other.user_id != user_id)
    another_admin = others.where(other.role == TeamRole.ADMIN)
    projects = exists().where(Project.owner_team_id == Team.id)
    return session.scalars(
        select(Team)
        .join(Membership, Membership.team_id == Team.id)
        .where(
            Membership.user_id == user_id,
            Membership.role == TeamRole.ADMIN,
            ~another_admin,
            others | projects,
        )
        .order_by(Team.name)
    ).all()


def hand_over(session: Session, identity: Identity | None, left: Left, heir: User) -> None:
    """Give projects and teams to another account. Raises: AccountDisabledError."""
    if heir.disabled_at is not None:
        raise AccountDisabledError("The account to hand over to is disabled; enable it first.")
    taken = set(session.scalars(select(Project.name).where(Project.owner_user_id == heir.id)))
    for project in left.projects:
        project.name = _free(project.name, left.user.email, taken)
        taken.add(project.name)
        project.owner_user_id = heir.id
        target = audit.Target.of_project(project)
        audit.record(session, identity, "project.transfer", target, to=heir.email)
    # What those teams have counts against who made them.
    made = update(Team).where(Team.created_by == left.user.id)
    session.execute(made.values(created_by=heir.id))
    for team in left.teams:
        membership = session.get(Membership, (team.id, heir.id))
        if membership is None:
            membership = Membership(team_id=team.id, user_id=heir.id)
            session.add(membership)
        membership.role = TeamRole.ADMIN
        target = audit.Target("member", heir.id, heir.email, team_id=team.id)
        audit.record(session, identity, "member.change", target, role=TeamRole.ADMIN)


def delete_own_teams(session: Session, identity: Identity | None, user: User) -> None:
    """Delete the teams that nobody else is in and that have no projects."""
    other = aliased(Membership)
    others = exists().where(other.team_id == Team.id, other.user_id != user.id)
    alone = session.scalars(
        select(Team)
        .join(Membership, Membership.team_id == Team.id)
        .where(Membership.user_id == user.id, ~others)
        .where(~exists().where(Project.owner_team_id == Team.id))
    ).all()
    for team in alone:
        audit.record(session, identity, "team.delete", audit.Target.of_team(team))
    session.execute(delete(Team).where(Team.id.in_([team.id for team in alone])))


def _free(name: str, email: str, taken: set[str]) -> str:
    """Return a name for a project that the heir has none of yet."""
    if name not in taken:
        return name
    whose = re.sub(r"[^a-z0-9]+", "-", email.partition("@")[0]).strip("-") or "other"
    for number in range(1, len(taken) + 2):
        ending = f"-{whose[:40]}" + (f"-{number}" if number > 1 else "")
        candidate = f"{name[: _LONGEST_NAME - len(ending)]}{ending}"
        if candidate not in taken:
            return candidate
    raise AssertionError("more names than projects")


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
