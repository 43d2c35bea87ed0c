"""Teams and their members.

A team has an admin at any time. What could take its last one away, or delete the team under a new
project, locks the team's row first, so that of two such changes the second sees the first.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, exists, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.core.errors import (
    Limit,
    MemberNotFoundError,
    PermissionDeniedError,
    TeamConflictError,
    TeamNameTakenError,
    TeamNotFoundError,
    UserNotFoundError,
)
from app.domain import audit
from app.domain.authorization import Action, Identity, may_in, team_for
from app.domain.paging import Page
from app.domain.quotas.answering import hand_over, may_go
from app.domain.quotas.checks import Checks
from app.domain.quotas.row_limits import refuse_more
from app.storage import Database, Membership, Project, Team, TeamRole, User, new_id, utc_now

_LAST_ADMIN = "The team would have no admin left; make another member one first."


@dataclass(frozen=True)
class TeamOf:
    """A team, and what the caller is in it."""

    id: str
    name: str
    role: TeamRole
    created_at: datetime


@dataclass(frozen=True)
class Member:
    """An account in a team."""

    user_id: str
    email: str
    role: TeamRole
    created_at: datetime


class Teams:
    """The rules of teams."""

    def __init__(self, database: Database, quotas: Checks, *, by_operators: bool) -> None:
        self._database = database
        self._quotas = quotas
        self._by_operators = by_operators

    def create(self, identity: Identity, name: str) -> TeamOf:
        """Make a team with the caller as its admin.

        What it will have counts against the caller, unless operators make the teams here.
        Raises: PermissionDeniedError, TeamNameTakenError, LimitReachedError.
        """
        may_in(identity, Action.TEAM_CREATE)
        if self._by_operators and not identity.is_operator:
            raise PermissionDeniedError("Operators make the teams of this VibeBox; ask one.")
        maker = None if self._by_operators else identity.user_id
        team = Team(id=new_id(), name=name, created_by=maker, created_at=utc_now())
        try:
            with self._database.writing() as session:
                if maker is not None:
                    self._quotas.check_team(session, maker)
                session.add(team)
                session.flush()
                member = Membership(team_id=team.id, user_id=identity.user_id, role=TeamRole.ADMIN)
                session.add(member)
                audit.record(session, identity, "team.create", audit.Target.of_team(team))
        except IntegrityError as error:
            raise TeamNameTakenError from error
        return TeamOf(team.id, name, TeamRole.ADMIN, team.created_at)

    def list(self, identity: Identity, *, limit: int, offset: int) -> Page[TeamOf]:
        """Return a page of the caller's teams, newest first. Raises: PermissionDeniedError."""
        may_in(identity, Action.TEAM_READ)
        mine = Membership.user_id == identity.user_id
        newest = Team.created_at.desc(), Team.id.desc()
        with self._database.reading() as session:
            total = session.scalar(select(func.count()).select_from(Membership).where(mine))
            page = _teams().where(mine).order_by(*newest).limit(limit).offset(offset)
            return Page([TeamOf(*row) for row in session.execute(page)], total or 0)

    def get(self, identity: Identity, team_id: str, action: Action = Action.TEAM_READ) -> TeamOf:
        """Return one team, to whoever may do `action` and so sees what became of it.

        Raises: TeamNotFoundError, PermissionDeniedError.
        """
        with self._database.reading() as session:
            team_for(session, identity, team_id, action)
            mine = Membership.user_id == identity.user_id
            return TeamOf(*session.execute(_teams().where(Team.id == team_id, mine)).one())

    def rename(self, identity: Identity, team_id: str, name: str) -> TeamOf:
        """Rename the team. Raises: TeamNotFoundError, PermissionDeniedError, TeamNameTakenError."""
        try:
            with self._database.writing() as session:
                team = team_for(session, identity, team_id, Action.TEAM_CHANGE)
                target = audit.Target.of_team(team)
                audit.record(session, identity, "team.change", target, name=name)
                team.name = name
        except IntegrityError as error:
            raise TeamNameTakenError from error
        return self.get(identity, team_id, Action.TEAM_CHANGE)

    def delete(self, identity: Identity, team_id: str) -> None:
        """Delete a team that has no projects.

        Raises: TeamNotFoundError, PermissionDeniedError, TeamConflictError.
        """
        with self._database.writing() as session:
            lock_team(session, team_id)
            team = team_for(session, identity, team_id, Action.TEAM_DELETE)
            if session.scalar(select(exists().where(Project.owner_team_id == team_id))):
                raise TeamConflictError("The team has projects; delete them first.")
            may_go(session, team, self._quotas)
            audit.record(session, identity, "team.delete", audit.Target.of_team(team))
            session.delete(team)

    def members(self, identity: Identity, team_id: str, *, limit: int, offset: int) -> Page[Member]:
        """Return a page of the members, by address.

        Raises: TeamNotFoundError, PermissionDeniedError.
        """
        inside = Membership.team_id == team_id
        with self._database.reading() as session:
            team_for(session, identity, team_id, Action.TEAM_READ)
            total = session.scalar(select(func.count()).select_from(Membership).where(inside))
            page = _members().where(inside).order_by(User.email).limit(limit).offset(offset)
            return Page([Member(*row) for row in session.execute(page)], total or 0)

    def invite(self, identity: Identity, team_id: str, email: str, role: TeamRole) -> Member:
        """Add an account by its address.

        Raises: TeamNotFoundError, PermissionDeniedError, UserNotFoundError, TeamConflictError.
        """
        with self._database.writing() as session:
            lock_team(session, team_id)
            team = team_for(session, identity, team_id, Action.TEAM_MEMBERS)
            user = session.scalar(select(User).where(User.email == email))
            if user is None:
                raise UserNotFoundError
            if session.get(Membership, (team_id, user.id)) is not None:
                raise TeamConflictError("The account is in the team already.")
            return _add(session, identity, team, user, role)

    def put_member(self, identity: Identity, team_id: str, user_id: str, role: TeamRole) -> Member:
        """Add an account by its id, or change what it is in the team.

        Raises: TeamNotFoundError, PermissionDeniedError, UserNotFoundError, TeamConflictError.
        """
        with self._database.writing() as session:
            lock_team(session, team_id)
            team = team_for(session, identity, team_id, Action.TEAM_MEMBERS)
            user = session.get(User, user_id)
            if user is None:
                raise UserNotFoundError
            membership = session.get(Membership, (team_id, user_id))
            if membership is None:
                return _add(session, identity, team, user, role)
            if role is not TeamRole.ADMIN:
                _keep_an_admin(session, membership)
                hand_over(session, team, user_id, identity.user_id, self._quotas)
            target = _target(team, user)
            before = membership.role
            audit.record(session, identity, "member.change", target, role=role, before=before)
            membership.role = role
            return Member(user.id, user.email, role, membership.created_at)

    def remove_member(self, identity: Identity, team_id: str, user_id: str) -> None:
        """Take a member out of the team; everybody may take themselves out.

        Raises: TeamNotFoundError, PermissionDeniedError, MemberNotFoundError, TeamConflictError.
        """
        leaves = user_id == identity.user_id
        with self._database.writing() as session:
            lock_team(session, team_id)
            action = Action.TEAM_LEAVE if leaves else Action.TEAM_MEMBERS
            team = team_for(session, identity, team_id, action)
            membership = session.get(Membership, (team_id, user_id))
            if membership is None:
                raise MemberNotFoundError
            _keep_an_admin(session, membership)
            hand_over(session, team, user_id, identity.user_id, self._quotas)
            target = _target(team, session.get_one(User, user_id))
            audit.record(session, identity, "member.remove", target, role=membership.role)
            session.delete(membership)


def lock_team(session: Session, team_id: str) -> None:
    """Keep others from changing the team's members and projects until the transaction ends.

    Raises: TeamNotFoundError. Call it before anything of the team is read.
    """
    if session.scalar(select(Team.id).where(Team.id == team_id).with_for_update()) is None:
        raise TeamNotFoundError


def _teams() -> Select[str, str, TeamRole, datetime]:
    return select(Team.id, Team.name, Membership.role, Team.created_at).join(
        Membership, Membership.team_id == Team.id
    )


def _members() -> Select[str, str, TeamRole, datetime]:
    return select(User.id, User.email, Membership.role, Membership.created_at).join(
        Membership, Membership.user_id == User.id
    )


def _add(session: Session, identity: Identity, team: Team, user: User, role: TeamRole) -> Member:
    if user.is_synthetic:
        raise TeamConflictError("The account is synthetic, and those are in no team.")
    refuse_more(session, Limit.MEMBERS, Membership, Membership.team_id == team.id)
    now = utc_now()
    session.add(Membership(team_id=team.id, user_id=user.id, role=role, created_at=now))
    audit.record(session, identity, "member.add", _target(team, user), role=role)
    return Member(user.id, user.email, role, now)


def _keep_an_admin(session: Session, membership: Membership) -> None:
    """Refuse what would take the team's last admin away. Raises: TeamConflictError."""
    if membership.role is not TeamRole.ADMIN:
        return
    another = exists().where(
        Membership.team_id == membership.team_id,
        Membership.user_id != membership.user_id,
        Membership.role == TeamRole.ADMIN,
    )
    if not session.scalar(select(another)):
        raise TeamConflictError(_LAST_ADMIN)


def _target(team: Team, user: User) -> audit.Target:
    return audit.Target("member", user.id, user.email, team_id=team.id)
