"""Writes the audit log, in the transaction of the change: both are stored, or neither is."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.core.context import context
from app.domain.authorization import Identity
from app.storage import AuditEntry, Environment, Project, Team

SYSTEM = "vibebox"
"""The actor of what VibeBox does by itself, such as ending an expired environment."""


@dataclass(frozen=True)
class Target:
    """What was changed, and in whose project or team."""

    kind: str
    id: str | None
    name: str | None = None
    project_id: str | None = None
    team_id: str | None = None

    @classmethod
    def of_environment(cls, environment: Environment, team_id: str | None) -> "Target":
        """Return the environment as a target."""
        return cls("environment", environment.id, environment.name, environment.project_id, team_id)

    @classmethod
    def of_project(cls, project: Project) -> "Target":
        """Return the project as a target."""
        return cls("project", project.id, project.name, project.id, project.owner_team_id)

    @classmethod
    def of_team(cls, team: Team) -> "Target":
        """Return the team as a target."""
        return cls("team", team.id, team.name, team_id=team.id)


def record(
    session: Session, actor: Identity | None, action: str, target: Target, **details: Any
) -> None:
    """Note one change in the caller's transaction; `actor` None is VibeBox itself.

    `details` are plain JSON values and never secrets.
    """
    here = context.get()
    session.add(
        AuditEntry(
            actor_id=actor.user_id if actor else None,
            actor=actor.email if actor else SYSTEM,
            api_key_id=actor.api_key_id if actor else None,
            action=action,
            target_kind=target.kind,
            target_id=target.id,
            target_name=target.name,
            project_id=target.project_id,
            team_id=target.team_id,
            address=here.address or None,
            request_id=here.request_id or None,
            details=details,
        )
    )
