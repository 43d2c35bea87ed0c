"""Asks, within the transaction of a change, whether the owner's quota allows it.

An environment counts for the owner of its project. All environments count against the number of
environments; those that are up (starting, running, stopping, paused) against CPUs and memory. The
owner's row is locked first, so that of many changes at once each sees what those before it have
taken; the lock lasts as long as the caller's transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from app.errors import ProjectNotFoundError, QuotaExceededError
from app.storage import Environment, EnvironmentStatus, Project, Team, User

_AT_REST = (EnvironmentStatus.STOPPED, EnvironmentStatus.ERROR)
# Sums of CPUs are sums of binary fractions: ten times 0.1 is not 1.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Limits:
    """What an account or a team may have."""

    environments: int
    cpus: float
    memory_mb: int


@dataclass(frozen=True)
class Usage:
    """What it has: environments at all, CPUs and memory of those that are up."""

    environments: int
    cpus: float
    memory_mb: int


class Checks:
    """The questions; `defaults` are the limits of owners that have none of their own.

    Every `check_…` raises QuotaExceededError with the numbers.
    """

    def __init__(self, defaults: Limits) -> None:
        self._defaults = defaults

    def check_create(self, session: Session, project: Project, fields: Mapping[str, Any]) -> None:
        """Ask for one more environment, and that it could ever be started by itself.

        Raises: ProjectNotFoundError too, where the project was deleted meanwhile.
        """
        limits = self.limits(lock_owner(session, project))
        share = select(Project.id).where(Project.id == project.id)
        if session.scalar(share.with_for_update(read=True, key_share=True)) is None:
            raise ProjectNotFoundError
        used = usage(session, owned_by(project))
        _demand("environments", limits.environments, used.environments, 1)
        self._demand_fits(limits, fields["cpu_limit"], fields["memory_limit_mb"])

    def check_start(self, session: Session, environment: Environment) -> None:
        """Ask for the CPUs and memory of an environment that leaves its rest.

        `environment` is as it was before; one that is up already holds what it needs.
        """
        if environment.status in _AT_REST:
            self._demand_beside_others(
                session, environment, environment.cpu_limit, environment.memory_limit_mb
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
        if environment.status in _AT_REST:
            project = session.get_one(Project, environment.project_id)
            self._demand_fits(self.limits(lock_owner(session, project)), cpu, memory)
        elif cpu or memory:
            self._demand_beside_others(session, environment, cpu, memory)

    def limits(self, owner: User | Team) -> Limits:
        """Return the owner's limits, its own or the defaults."""
        ours = self._defaults
        return Limits(
            ours.environments if owner.max_environments is None else owner.max_environments,
            ours.cpus if owner.max_cpus is None else owner.max_cpus,
            ours.memory_mb if owner.max_memory_mb is None else owner.max_memory_mb,
        )

    def _demand_beside_others(
        self, session: Session, environment: Environment, cpu: float, memory: int
    ) -> None:
        project = session.get_one(Project, environment.project_id)
        limits = self.limits(lock_owner(session, project))
        others = usage(session, owned_by(project) & (Environment.id != environment.id))
        if cpu:
            _demand("cpus", limits.cpus, others.cpus, cpu)
        if memory:
            _demand("memory_mb", limits.memory_mb, others.memory_mb, memory)

    @staticmethod
    def _demand_fits(limits: Limits, cpu: float, memory: int) -> None:
        _demand("cpus", limits.cpus, 0, cpu)
        _demand("memory_mb", limits.memory_mb, 0, memory)


def lock_owner(session: Session, project: Project) -> User | Team:
    """Return the owner of the project, whose row nobody else locks until the transaction ends."""
    # Weaker than FOR UPDATE: rows that refer to the owner, such as tokens, can still be written.
    options: dict[str, Any] = {"populate_existing": True, "with_for_update": {"key_share": True}}
    if project.owner_user_id is not None:
        return session.get_one(User, project.owner_user_id, **options)
    return session.get_one(Team, project.owner_team_id, **options)


def owned_by(project: Project) -> ColumnElement[bool]:
    """Return the condition on `Project` that it has the same owner."""
    if project.owner_user_id is not None:
        return Project.owner_user_id == project.owner_user_id
    return Project.owner_team_id == project.owner_team_id


def usage(session: Session, condition: ColumnElement[bool]) -> Usage:
    """Return what the environments have that meet the condition on `Project`."""
    up = Environment.status.not_in(_AT_REST)
    row = session.execute(
        select(
            func.count(),
            func.coalesce(func.sum(case((up, Environment.cpu_limit), else_=0.0)), 0.0),
            func.coalesce(func.sum(case((up, Environment.memory_limit_mb), else_=0)), 0),
        )
        .select_from(Environment)
        .join(Project, Environment.project_id == Project.id)
        .where(condition)
    ).one()
    return Usage(int(row[0]), round(float(row[1]), 6), int(row[2]))


def _demand(resource: str, limit: float, used: float, requested: float) -> None:
    if used + requested > limit + _ROUNDING:
        raise QuotaExceededError(resource, limit=limit, used=used, requested=requested)
