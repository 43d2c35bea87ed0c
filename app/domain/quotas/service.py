"""Quotas as people see and set them."""

from dataclasses import asdict, dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.core.errors import InvalidTokenError, TeamNotFoundError, UserNotFoundError
from app.domain import audit
from app.domain.authorization import Action, Identity, may_in, team_for
from app.domain.quotas.checks import Account, Checks, Limits
from app.domain.quotas.month import Month
from app.domain.quotas.usage import Usage, counted_teams, usage
from app.storage import Database, Project, Team, User
from app.storage.months import MonthUse, used_this_month


@dataclass(frozen=True)
class Share:
    """What there may be, and what there is."""

    limits: Limits
    used: Usage


@dataclass(frozen=True)
class Teams:
    """How many teams an account may make, and how many it has made that there are."""

    limit: int
    used: int


@dataclass(frozen=True)
class MonthShare:
    """What there may be in a month, None without a bound, and what has been used in this one."""

    limits: Month
    used: MonthUse


@dataclass(frozen=True)
class Quota:
    """The limits of an account or a team, what it uses of them, and the same of the host.

    `in_teams` is what an account's use holds of teams that count against it; None for a team, as is
    `teams`.
    """

    limits: Limits
    used: Usage
    host: Share
    month: MonthShare
    in_teams: Usage | None = None
    teams: Teams | None = None


@dataclass(frozen=True)
class OwnLimits:
    """What an operator sets; None stands for the setting's default."""

    environments: int | None
    cpus: float | None
    memory_mb: int | None
    cpu_hours: float | None = None
    memory_gib_hours: float | None = None


class Quotas:
    """The rules of quotas; `app.domain.quotas.checks` enforces them."""

    def __init__(self, database: Database, checks: Checks) -> None:
        self._database = database
        self._checks = checks

    def get(self, identity: Identity, team_id: str | None = None) -> Quota:
        """Return the caller's own quota, or a team's.

        Raises: TeamNotFoundError, PermissionDeniedError.
        """
        may_in(identity, Action.QUOTA_READ)
        with self._database.reading() as session:
            if team_id is not None:
                return self._team(session, team_for(session, identity, team_id, Action.QUOTA_READ))
            user = session.get(User, identity.user_id)
            if user is None:
                raise InvalidTokenError
            return self._user(session, user)

    def set_for_user(self, identity: Identity, user_id: str, limits: OwnLimits) -> Quota:
        """Set the quota of an account. Raises: PermissionDeniedError, UserNotFoundError."""
        may_in(identity, Action.QUOTA_CHANGE)
        with self._database.writing() as session:
            user = session.get(User, user_id, with_for_update=True)
            if user is None:
                raise UserNotFoundError
            target = audit.Target("account", user.id, user.email)
            self._set(session, identity, user, limits, target)
            return self._user(session, user)

    def set_for_team(self, identity: Identity, team_id: str, limits: OwnLimits) -> Quota:
        """Set the quota of a team. Raises: PermissionDeniedError, TeamNotFoundError."""
        may_in(identity, Action.QUOTA_CHANGE)
        with self._database.writing() as session:
            team = session.get(Team, team_id, with_for_update=True)
            if team is None:
                raise TeamNotFoundError
            self._set(session, identity, team, limits, audit.Target.of_team(team))
            return self._team(session, team)

    @staticmethod
    def _set(
        session: Session,
        identity: Identity,
        owner: User | Team,
        limits: OwnLimits,
        target: audit.Target,
    ) -> None:
        owner.max_environments = limits.environments
        owner.max_cpus = limits.cpus
        owner.max_memory_mb = limits.memory_mb
        owner.max_cpu_hours = limits.cpu_hours
        owner.max_memory_gib_hours = limits.memory_gib_hours
        audit.record(session, identity, "quota.change", target, **asdict(limits))
        session.flush()

    def _user(self, session: Session, user: User) -> Quota:
        mine = self._checks.account(user)
        made = select(func.count()).select_from(Team).where(Team.created_by == user.id)
        return Quota(
            mine.limits,
            mine.used(session),
            self._host(session),
            _month(session, mine),
            usage(session, Project.owner_team_id.in_(counted_teams(user.id))),
            Teams(self._checks.most_teams, session.scalar(made) or 0),
        )

    def _team(self, session: Session, team: Team) -> Quota:
        ours = self._checks.account(team)
        return Quota(ours.limits, ours.used(session), self._host(session), _month(session, ours))

    def _host(self, session: Session) -> Share:
        host = self._checks.host()
        return Share(host.limits, host.used(session))


def _month(session: Session, account: Account) -> MonthShare:
    return MonthShare(account.month, used_this_month(session, account.rows))
