"""The project that each account has without making one."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.authorization import Identity
from app.storage import Project, User

PERSONAL = "personal"


def personal_project(session: Session, identity: Identity) -> str:
    """Return the id of the caller's personal project; make it where there is none."""
    # The account's row is the lock: of two that make it at once, the second finds it.
    session.execute(select(User.id).where(User.id == identity.user_id).with_for_update())
    found = session.scalar(
        select(Project.id).where(
            Project.owner_user_id == identity.user_id, Project.name == PERSONAL
        )
    )
    if found is not None:
        return found
    project = Project(name=PERSONAL, owner_user_id=identity.user_id)
    session.add(project)
    session.flush()
    return project.id
