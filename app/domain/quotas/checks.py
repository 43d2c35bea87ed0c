"""Asks, within the transaction of a change, whether the quotas allow it.

An environment counts for the owner of its project, an account or a team. What a team has counts
against the account that made it as well, or whoever makes teams would have as many quotas as they
like; a team that an operator gave a quota of its own stands for itself. And everything counts for
the host. All environments count against the number of environments; those that are up (starting,
running, stopping, paused) against CPUs and memory.

Rows are locked first, so that of many changes at once each sees what those before it have taken:
the team, its maker, the installation (for the host), always in this order. The locks last as long
as the caller's transaction.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, false, func, or_, select, true
from sqlalchemy.orm import Session

from app.core.errors import (
    Limit,
    LimitReachedError,
    ProjectNotFoundError,
    QuotaExceededError,
)
from app.domain.authorization import Identity
from app.domain.quotas.month import Month, demand_month, month_limits, rows_of
from app.domain.quotas.usage import (
    Usage,
    counted_teams,
    stands_for_itself,
    usage,
)
from app.storage import AT_REST, Environment, Installation, Project, Team, User

NOBODY = ""
"""`Team.created_by` of a team whose maker has left it: who next makes or starts something in it
takes it over. NULL are teams of before there were makers; they stand for themselves."""

# Sums of CPUs are sums of binary fractions: ten times 0.1 is not 1.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Limits:
    """What an account, a team or the host may have."""

    environments: int
    cpus: float
    memory_mb: int


@dataclass(frozen=True)
class Account:
    """Something that is asked for room: what it may have, and which environments count."""

    of: str  # "account", "team", "maker" or "host", as the answer names it
    limits: Limits
    counts: ColumnElement[bool]
    month: Month = field(default_factory=Month)
    rows: ColumnElement[bool] = field(default_factory=false)  # of the ledger
    team: str | None = None  # the name of the team whose it is

    def used(self, session: Session, *, without: Environment | None = None) -> Usage:
        """Return what it has, without one environment."""
        counts = self.counts
        if without is not None:
            counts &= Environment.id != without.id
        return usage(session, counts)

    def demand(self, resource: str, used: Usage, requested: float) -> None:
        """Ask for more of a resource. Raises: QuotaExceededError."""
        limit, has = getattr(self.limits, resource), getattr(used, resource)
        if has + requested > limit + ROUNDING:
            raise QuotaExceededError(
                resource, of=self.of, team=self.team, limit=limit, used=has, requested=requested
            )

    def demand_month(self, session: Session) -> None:
        """Ask that something is left of the month's quota. Raises: QuotaExceededError."""
        demand_month(session, self.month, self.rows, of=self.of, team=self.team)

    def demand_fits(
        self, session: Session, cpu: float, memory: int, *, without: Environment | None = None
    ) -> None:
        """Ask that this much could be had if nothing else were up. Raises: QuotaExceededError."""
        for resource, requested in (("cpus", cpu), ("memory_mb", memory)):
            if requested > getattr(self.limits, resource) + ROUNDING:
                self.demand(resource, self.used(session, without=without), requested)


class Checks:
    """The questions; `defaults` are the limits of owners that have none of their own.

    Every `check_…` raises QuotaExceededError with the numbers.
    """

    def __init__(
        self,
        defaults: Limits,
        host: Limits,
        *,
        teams: int,
        accounts: int,
        month: Month | None = None,
    ) -> None:
        self._defaults = defaults
        self._month = month or Month()
        self._host = host
        self.most_teams = teams
        self._most_accounts = accounts

    def check_create(
        self, session: Session, identity: Identity, project: Project, fields: Mapping[str, Any]
    ) -> None:
        """Ask for one more environment, and that it could ever be started by itself.

        Raises: ProjectNotFoundError too, where the project was deleted meanwhile.
        """
        owner = lock_owner(session, project)
        share = select(Project.id).where(Project.id == project.id)
        if session.scalar(share.with_for_update(read=True, key_share=True)) is None:
            raise ProjectNotFoundError
        for account in self._asked(session, owner, identity):
            account.demand("environments", account.used(session), 1)
            account.demand_fits(session, fields["cpu_limit"], fields["memory_limit_mb"])
            account.demand_month(session)

    def check_start(
        self, session: Session, identity: Identity | None, environment: Environment
    ) -> None:
        """Ask for the CPUs and memory of an environment that leaves its rest.

        `environment` is as it was before; one that is up already holds what it needs. `identity`
        None is VibeBox itself.
        """
        if environment.status in AT_REST:
            self._demand_beside_others(
                session,
                identity,
                environment,
                environment.cpu_limit,
                environment.memory_limit_mb,
                starts=True,
            )

    def check_change(
        self,
        session: Session,
        environment: Environment,
        cpu: float | None,
        memory: int | None,
    ) -> None:
        """Ask for new limits of an environment; None leaves one as it is.

        What is not raised is not asked for, so that limits can be lowered under any quota.
        """
        cpu = cpu if cpu is not None and cpu > environment.cpu_limit else 0
        memory = memory if memory is not None and memory > environment.memory_limit_mb else 0
        if environment.status in AT_REST:
            project = session.get_one(Project, environment.project_id)
            for account in self._asked(session, lock_owner(session, project), None):
                account.demand_fits(session, cpu, memory, without=environment)
        elif cpu or memory:
            self._demand_beside_others(session, None, environment, cpu, memory)

    def check_account(self, session: Session) -> None:
        """Ask for one more account. Raises: LimitReachedError."""
        if (session.scalar(select(func.count()).select_from(User)) or 0) >= self._most_accounts:
            raise LimitReachedError(Limit.HOST_ACCOUNTS, self._most_accounts)

    def check_team(self, session: Session, user_id: str) -> None:
        """Ask for one more team of an account. Raises: LimitReachedError."""
        locked(session, user_id)
        made = select(func.count()).select_from(Team).where(Team.created_by == user_id)
        if (session.scalar(made) or 0) >= self.most_teams:
            raise LimitReachedError(Limit.TEAMS, self.most_teams)

    def limits(self, owner: User | Team) -> Limits:
        """Return the owner's limits, its own or the defaults."""
        ours = self._defaults
        return Limits(
            ours.environments if owner.max_environments is None else owner.max_environments,
            ours.cpus if owner.max_cpus is None else owner.max_cpus,
            ours.memory_mb if owner.max_memory_mb is None else owner.max_memory_mb,
        )

    def account(self, owner: User | Team, of: str = "") -> Account:
        """Return the account of an owner."""
        if isinstance(owner, User):
            of = of or "account"
            teams = Project.owner_team_id.in_(counted_teams(owner.id))
            counts = or_(Project.owner_user_id == owner.id, teams)
        else:
            of, counts = "team", or_(Project.owner_team_id == owner.id)
        team = owner.name if isinstance(owner, Team) else None
        month = month_limits(owner, self._month)
        return Account(of, self.limits(owner), counts, month, rows_of(owner), team)

    def host(self) -> Account:
        """Return the account of all together."""
        return Account("host", self._host, true())

    def _asked(
        self, session: Session, owner: User | Team, identity: Identity | None
    ) -> Iterator[Account]:
        """Yield all that are asked, each with its row locked."""
        yield self.account(owner)
        if isinstance(owner, Team) and not stands_for_itself(owner):
            maker = _maker(session, owner, identity)
            if maker is not None:
                yield self.account(maker, "maker")
        session.execute(select(Installation.id).with_for_update())
        yield self.host()

    def _demand_beside_others(
        self,
        session: Session,
        identity: Identity | None,
        environment: Environment,
        cpu: float,
        memory: int,
        *,
        starts: bool = False,
    ) -> None:
        project = session.get_one(Project, environment.project_id)
        for account in self._asked(session, lock_owner(session, project), identity):
            others = account.used(session, without=environment)
            if cpu:
                account.demand("cpus", others, cpu)
            if memory:
                account.demand("memory_mb", others, memory)
            if starts:
                account.demand_month(session)


def _maker(session: Session, team: Team, identity: Identity | None) -> User | None:
    """Return whom a team counts against; where that is nobody any more, who acts in it now."""
    maker = locked(session, team.created_by) if team.created_by else None
    if maker is None and identity is not None:
        maker = locked(session, identity.user_id)
        team.created_by = identity.user_id
        session.flush()
    return maker


def lock_owner(session: Session, project: Project) -> User | Team:
    """Return the owner of the project, whose row nobody else locks until the transaction ends."""
    if project.owner_user_id is not None:
        return session.get_one(User, project.owner_user_id, **_LOCK)
    return session.get_one(Team, project.owner_team_id, **_LOCK)


def locked(session: Session, user_id: str | None) -> User | None:
    """Return the account, if there is one, whose row nobody else locks from then on."""
    return session.get(User, user_id, **_LOCK)


# Weaker than FOR UPDATE: rows that refer to the owner, such as tokens, can still be written.
_LOCK: dict[str, Any] = {"populate_existing": True, "with_for_update": {"key_share": True}}
