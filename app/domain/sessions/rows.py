"""Ends sessions with the run of the container that they are in."""

from typing import Any

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from app.storage import (
    Environment,
    EnvironmentSession,
    EnvironmentStatus,
    SessionStatus,
    db_now,
)

UP = (EnvironmentStatus.RUNNING, EnvironmentStatus.PAUSED)


def living() -> ColumnElement[bool]:
    """Return the condition that a session has not ended."""
    return EnvironmentSession.status != SessionStatus.TERMINATED


def end_stale(session: Session, environment_id: str) -> None:
    """End the sessions of an environment that is not up, or in another run than theirs.

    Call it in the transaction that records the environment's new status.
    """
    found = session.execute(
        select(Environment.status, Environment.container_id, Environment.run_started).where(
            Environment.id == environment_id
        )
    ).one_or_none()
    if found is None:
        return
    stale = [EnvironmentSession.environment_id == environment_id, living()]
    if found.status in UP:
        stale.append(
            or_(
                EnvironmentSession.container_id != found.container_id,
                EnvironmentSession.run_started != found.run_started,
            )
        )
    session.execute(update(EnvironmentSession).where(*stale).values(ended()))


def ended(exit_code: int | None = None) -> dict[str, Any]:
    """Return the columns of a session that ends now."""
    return {
        "status": SessionStatus.TERMINATED,
        "ended_at": db_now(),
        "held_by": None,
        "exit_code": exit_code,
    }
