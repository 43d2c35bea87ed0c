"""The SQL of quotas: how much an owner, a team or the host has, and whose counts for whom."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, select
from sqlalchemy.orm import Session

from app.storage import AT_REST, Environment, Project, Team

_OWN = (
    Team.max_environments,
    Team.max_cpus,
    Team.max_memory_mb,
    Team.max_cpu_hours,
    Team.max_memory_gib_hours,
)


@dataclass(frozen=True)
class Usage:
    """What it has: environments at all, CPUs and memory of those that are up."""

    environments: int
    cpus: float
    memory_mb: int


def stands_for_itself(team: Team) -> bool:
    """Tell whether what a team has counts against nobody else."""
    own = [getattr(team, column.key) for column in _OWN]
    return team.created_by is None or any(limit is not None for limit in own)


def counted_teams(user_id: str) -> Select[Any]:
    """Return the ids of the teams that count against this account."""
    return select(Team.id).where(
        Team.created_by == user_id,
        and_(*(column.is_(None) for column in _OWN)),
    )


def owned_by(project: Project) -> ColumnElement[bool]:
    """Return the condition on `Project` that it has the same owner."""
    if project.owner_user_id is not None:
        return Project.owner_user_id == project.owner_user_id
    return Project.owner_team_id == project.owner_team_id


def usage(session: Session, condition: ColumnElement[bool]) -> Usage:
    """Return what the environments have that meet the condition on `Project`."""
    up = Environment.status.not_in(AT_REST)
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
