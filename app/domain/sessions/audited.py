"""What the audit log has of sessions."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import audit
from app.domain.authorization import Identity
from app.storage import Environment, EnvironmentSession, Project


def audit_session(
    session: Session,
    identity: Identity | None,
    action: str,
    found: EnvironmentSession,
    **details: Any,
) -> None:
    """Note in the audit log what is done to a session."""
    project_id, team_id = session.execute(
        select(Project.id, Project.owner_team_id)
        .join(Environment, Environment.project_id == Project.id)
        .where(Environment.id == found.environment_id)
    ).one_or_none() or (None, None)
    target = audit.Target("session", found.id, found.name, project_id, team_id)
    audit.record(session, identity, action, target, **details)


def audit_opened(session: Session, identity: Identity, found: EnvironmentSession) -> None:
    """Note that somebody is at a session: at a terminal, or with the password of its VS Code."""
    audit_session(session, identity, "session.open", found, type=found.type)
