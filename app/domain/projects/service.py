"""Projects: made, renamed, and deleted when they are empty."""

from sqlalchemy import exists, func, select, true
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.core.errors import Limit, ProjectNameTakenError, ProjectNotEmptyError, ProjectNotFoundError
from app.domain import audit
from app.domain.authorization import (
    Action,
    Identity,
    Role,
    may_in,
    project_for,
    projects_seen,
    readable_projects,
    role_in_team,
    seen,
    team_for,
)
from app.domain.paging import Page
from app.domain.quotas.checks import lock_owner
from app.domain.quotas.row_limits import refuse_more
from app.domain.quotas.usage import owned_by
from app.domain.teams.service import lock_team
from app.storage import Database, Environment, Project, new_id, utc_now


class Projects:
    """The rules of projects; `app.domain.authorization` decides who sees and changes which."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, identity: Identity, name: str, team_id: str | None = None) -> Project:
        """Make a project, of the caller's own or of a team.

        Raises: PermissionDeniedError, TeamNotFoundError, ProjectNameTakenError,
        LimitReachedError.
        """
        may_in(identity, Action.PROJECT_CREATE)
        project = Project(
            id=new_id(),
            name=name,
            owner_user_id=identity.user_id if team_id is None else None,
            owner_team_id=team_id,
            created_at=utc_now(),
        )
        project.caller_role = Role.OWNER
        try:
            with self._database.writing() as session:
                if team_id is not None:
                    # The team must not be deleted before the project is there.
                    lock_team(session, team_id)
                    team_for(session, identity, team_id, Action.PROJECT_CREATE)
                    project.caller_role = role_in_team(session, identity, team_id)
                refuse_more(session, Limit.PROJECTS, Project, owned_by(project))
                session.add(project)
                audit.record(session, identity, "project.create", audit.Target.of_project(project))
        except IntegrityError as error:
            raise ProjectNameTakenError from error
        return project

    def list(
        self, identity: Identity, *, team_id: str | None = None, limit: int, offset: int
    ) -> Page[Project]:
        """Return a page of the projects that the caller sees, newest first.

        Raises: PermissionDeniedError, TeamNotFoundError.
        """
        may_in(identity, Action.PROJECT_READ)
        wanted = true() if team_id is None else Project.owner_team_id == team_id
        newest = Project.created_at.desc(), Project.id.desc()
        with self._database.reading() as session:
            if team_id is not None:
                team_for(session, identity, team_id, Action.PROJECT_READ)
            counted = wanted & readable_projects(identity)
            total = session.scalar(select(func.count()).select_from(Project).where(counted))
            page = projects_seen(identity).where(wanted).order_by(*newest)
            items = seen(identity, session.execute(page.limit(limit).offset(offset)))
            session.expunge_all()
        return Page(items, total or 0)

    def get(
        self, identity: Identity, project_id: str, action: Action = Action.PROJECT_READ
    ) -> Project:
        """Return one project, to whoever may do `action` and so sees what became of it.

        Raises: ProjectNotFoundError, PermissionDeniedError.
        """
        with self._database.reading() as session:
            project = project_for(session, identity, project_id, action)
            session.expunge(project)
        return project

    def rename(self, identity: Identity, project_id: str, name: str) -> Project:
        """Rename a project.

        Raises: ProjectNotFoundError, PermissionDeniedError, ProjectNameTakenError.
        """
        try:
            with self._database.writing() as session:
                project = project_for(session, identity, project_id, Action.PROJECT_CHANGE)
                target = audit.Target.of_project(project)
                audit.record(session, identity, "project.change", target, name=name)
                project.name = name
        except IntegrityError as error:
            raise ProjectNameTakenError from error
        return self.get(identity, project_id, Action.PROJECT_CHANGE)

    def delete(self, identity: Identity, project_id: str) -> None:
        """Delete a project that holds no environments.

        Raises: ProjectNotFoundError, PermissionDeniedError, ProjectNotEmptyError.
        """
        with self._database.writing() as session:
            project = project_for(session, identity, project_id, Action.PROJECT_DELETE)
            _lock(session, project)
            if session.scalar(select(exists().where(Environment.project_id == project_id))):
                raise ProjectNotEmptyError
            audit.record(session, identity, "project.delete", audit.Target.of_project(project))
            session.delete(project)


def _lock(session: Session, project: Project) -> None:
    """Keep others from putting environments into the project until the transaction ends.

    The owner comes first, as in the creation of an environment, so that the two never wait for each
    other in a circle. Raises: ProjectNotFoundError where it was deleted meanwhile.
    """
    lock_owner(session, project)
    row = select(Project.id).where(Project.id == project.id).with_for_update()
    if session.scalar(row) is None:
        raise ProjectNotFoundError
