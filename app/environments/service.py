"""Environments: their records, and the starts and stops that keep record and container one."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.exc import IntegrityError

from app import audit
from app.authorization import (
    Action,
    Identity,
    environment_for,
    may_in,
    project_for,
    readable_projects,
)
from app.engine import ContainerState
from app.environments.containers import Containers, published
from app.environments.outcomes import telling_start
from app.environments.transitions import Passage, Transitions, run_fields
from app.errors import (
    EngineError,
    EngineTimeoutError,
    EngineUnreachableError,
    EnvironmentNameTakenError,
    StorageError,
    VibeBoxError,
)
from app.projects.personal import personal_project
from app.storage import Database, Environment, EnvironmentStatus, Project, utc_now

_log = logging.getLogger(__name__)
_AT_REST = (EnvironmentStatus.STOPPED, EnvironmentStatus.ERROR)
_UP = (EnvironmentStatus.RUNNING, EnvironmentStatus.PAUSED, EnvironmentStatus.ERROR)
_ANY = (*_UP, EnvironmentStatus.STOPPED)


@dataclass(frozen=True)
class Page:
    """A page of environments; `total` counts all that match."""

    items: list[Environment]
    total: int


class Environments:
    """The rules of environments; `app.authorization` decides who sees and changes which."""

    def __init__(
        self, database: Database, transitions: Transitions, containers: Containers
    ) -> None:
        self._database = database
        self._transitions = transitions
        self._containers = containers

    def create(
        self, identity: Identity, fields: dict[str, Any], project_id: str | None = None
    ) -> Environment:
        """Record a new environment, stopped; its container is made by the first start.

        Without a project it belongs to the caller's personal one.
        Raises: ProjectNotFoundError, PermissionDeniedError, EnvironmentNameTakenError.
        """
        with self._unique_name(), self._database.writing() as session:
            project = project_for(
                session,
                identity,
                project_id or personal_project(session, identity),
                Action.ENVIRONMENT_CREATE,
            )
            environment = Environment(project_id=project.id, created_by=identity.user_id, **fields)
            session.add(environment)
            session.flush()
            target = audit.Target.of_environment(environment, project.owner_team_id)
            audit.record(session, identity, "environment.create", target)
            session.flush()
            session.refresh(environment)
            session.expunge(environment)
        return environment

    def list(
        self,
        identity: Identity,
        *,
        project_id: str | None = None,
        status: EnvironmentStatus | None = None,
        limit: int,
        offset: int,
    ) -> Page:
        """Return a page of the environments that the caller sees, newest first.

        Raises: ProjectNotFoundError, PermissionDeniedError.
        """
        visible = select(Project.id).where(readable_projects(identity))
        wanted: ColumnElement[bool] = Environment.project_id.in_(visible)
        if project_id is not None:
            wanted &= Environment.project_id == project_id
        if status is not None:
            wanted &= Environment.status == status
        newest = Environment.created_at.desc(), Environment.id.desc()
        may_in(identity, Action.ENVIRONMENT_READ)
        with self._database.reading() as session:
            if project_id is not None:
                project_for(session, identity, project_id, Action.ENVIRONMENT_READ)
            total = session.scalar(select(func.count()).select_from(Environment).where(wanted))
            page = select(Environment).where(wanted).order_by(*newest).limit(limit).offset(offset)
            items = list(session.scalars(page))
            session.expunge_all()
        return Page(items, total or 0)

    def get(self, identity: Identity, environment_id: str) -> Environment:
        """Return one environment. Raises: EnvironmentNotFoundError, PermissionDeniedError."""
        with self._database.reading() as session:
            environment = environment_for(
                session, identity, environment_id, Action.ENVIRONMENT_READ
            )
            session.expunge(environment)
        return environment

    def change(
        self, identity: Identity, environment_id: str, fields: dict[str, Any]
    ) -> Environment:
        """Change fields. All but the name go into a new container, so it must be at rest.

        Raises: EnvironmentNotFoundError, EnvironmentNameTakenError, EnvironmentConflictError,
        EngineUnreachableError (nothing was changed).
        """
        if set(fields) <= {"name"}:
            self._rename(identity, environment_id, fields)
            return self.get(identity, environment_id)
        passage = self._transitions.begin(
            identity,
            environment_id,
            _AT_REST,
            EnvironmentStatus.STOPPING,
            action=Action.ENVIRONMENT_CHANGE,
            audited="environment.change",
        )
        before = passage.environment
        with self._passing(passage), self._unique_name():
            # First: a refusal must not cost the container, which holds the user's files.
            self._refuse_taken_name(before, fields.get("name"))
            passage.seen = self._containers.look(before)
            self._containers.remove(before)
            self._transitions.end(
                passage,
                before.status,
                passage.exits(None),
                error=before.error,
                container_id=None,
                **fields,
            )
        return self.get(identity, environment_id)

    def delete(self, identity: Identity, environment_id: str) -> None:
        """Remove the container, then the record.

        Raises: EnvironmentNotFoundError, EnvironmentConflictError, EngineUnreachableError.
        """
        self._remove(self._begin_removal(identity, environment_id, "environment.delete"))

    def expire(self, environment_id: str) -> None:
        """Delete the environment as VibeBox itself, if its time is over. Raises: as `delete`."""
        passage = self._begin_removal(None, environment_id, "environment.expire")
        before = passage.environment
        if before.expires_at is not None and before.expires_at <= utc_now():
            self._remove(passage)
        else:  # somebody gave it more time meanwhile
            self._transitions.end(passage, before.status, end_requested=before.end_requested)

    def _begin_removal(
        self, identity: Identity | None, environment_id: str, audited: str
    ) -> Passage:
        return self._transitions.begin(
            identity,
            environment_id,
            _ANY,
            EnvironmentStatus.STOPPING,
            action=Action.ENVIRONMENT_DELETE,
            audited=audited,
            ends=True,
        )

    def _remove(self, passage: Passage) -> None:
        before = passage.environment
        with self._passing(passage):
            if before.container_id is not None:
                passage.seen = self._containers.look(before)
            self._containers.remove(before)
            self._transitions.remove(passage, passage.exits(None))

    def start(self, identity: Identity, environment_id: str) -> Environment:
        """Make the container where there is none, start it, and record what became of it.

        Raises: EnvironmentNotFoundError, EnvironmentConflictError, and the errors of Docker.
        """
        passage = self._begin_run(identity, environment_id, _AT_REST, "environment.start")
        with telling_start(passage.since) as start:
            start.status = self._run(passage, self._containers.start)
        return self.get(identity, environment_id)

    def restart(self, identity: Identity, environment_id: str) -> Environment:
        """Stop and start the container. Raises: as `start`."""
        passage = self._begin_run(identity, environment_id, _UP, "environment.restart")
        self._run(passage, self._containers.restart)
        return self.get(identity, environment_id)

    def stop(self, identity: Identity, environment_id: str) -> Environment:
        """Stop the container; it stays, with its files. Raises: as `start`."""
        passage = self._transitions.begin(
            identity,
            environment_id,
            _UP,
            EnvironmentStatus.STOPPING,
            action=Action.ENVIRONMENT_OPERATE,
            audited="environment.stop",
            ends=True,
        )
        with self._passing(passage):
            passage.seen = after = self._containers.look(passage.environment)
            if after is not None:
                after = self._containers.stop(after.id)
            self._transitions.end(
                passage,
                EnvironmentStatus.STOPPED,
                passage.exits(after),
                error=None,
                published_ports=[],
                **run_fields(passage, after),
            )
        return self.get(identity, environment_id)

    def _begin_run(
        self,
        identity: Identity,
        environment_id: str,
        allowed: tuple[EnvironmentStatus, ...],
        audited: str,
    ) -> Passage:
        return self._transitions.begin(
            identity,
            environment_id,
            allowed,
            EnvironmentStatus.STARTING,
            action=Action.ENVIRONMENT_OPERATE,
            audited=audited,
            ends=True,
        )

    def _run(self, passage: Passage, launch: Callable[[str], ContainerState]) -> EnvironmentStatus:
        """Make the container run and return the status that came of it."""
        environment = passage.environment
        with self._passing(passage):
            passage.seen = self._containers.look(environment)
            environment.container_id = self._containers.ensure(environment, passage.seen)
            return self._settle(passage, launch(environment.container_id))

    @contextmanager
    def _passing(self, passage: Passage) -> Iterator[None]:
        """Leave no passage behind: whatever goes wrong, the record says what is known."""
        try:
            yield
        except StorageError:
            # What Docker did is done; the agent records it.
            self._transitions.drop(passage)
            raise
        except EngineUnreachableError:
            before = passage.environment
            self._give_up(passage, before.status, before.error)
            raise
        except EngineTimeoutError as error:
            self._look_again(passage, error)
            raise
        except EnvironmentNameTakenError:
            self._give_up(passage, passage.environment.status, passage.environment.error)
            raise
        except EngineError as error:
            self._give_up(passage, EnvironmentStatus.ERROR, error.detail)
            raise
        except Exception:
            self._give_up(passage, EnvironmentStatus.ERROR, VibeBoxError.default_detail)
            raise

    def _give_up(self, passage: Passage, status: EnvironmentStatus, error: str | None) -> None:
        """End the passage after a failure, which must not hide behind one of the database."""
        changes: dict[str, Any] = {"container_id": passage.environment.container_id}
        if status is EnvironmentStatus.ERROR:
            changes["published_ports"] = []
        try:
            self._transitions.end(passage, status, error=error, **changes)
        except VibeBoxError:
            _log.exception("passage left behind", extra={"environment": passage.environment.id})

    def _look_again(self, passage: Passage, error: EngineTimeoutError) -> None:
        """Record the truth after a call that may or may not have been carried out."""
        try:
            state = self._containers.look(passage.environment)
        except EngineError:
            state = None
        if state is None:
            self._give_up(passage, EnvironmentStatus.ERROR, error.detail)
        else:
            self._settle(passage, state)

    def _settle(self, passage: Passage, state: ContainerState) -> EnvironmentStatus:
        """End the passage with what Docker says of the container, and return the status."""
        error = None
        if state.paused:
            status = EnvironmentStatus.PAUSED
        elif state.running:
            status = EnvironmentStatus.RUNNING
        elif passage.through is EnvironmentStatus.STOPPING:
            status = EnvironmentStatus.STOPPED
        else:
            status = EnvironmentStatus.ERROR
            error = (
                f"The container ended right after its start, with exit code {state.exit_code}; "
                "choose an image whose command keeps running."
            )
        self._transitions.end(
            passage,
            status,
            passage.exits(state),
            error=error,
            published_ports=published(state),
            **run_fields(passage, state),
        )
        return status

    def _refuse_taken_name(self, environment: Environment, name: str | None) -> None:
        twin = select(Environment.id).where(
            Environment.project_id == environment.project_id,
            Environment.name == name,
            Environment.id != environment.id,
        )
        with self._database.reading() as session:
            if name is not None and session.scalar(twin) is not None:
                raise EnvironmentNameTakenError

    def _rename(self, identity: Identity, environment_id: str, fields: dict[str, Any]) -> None:
        with self._unique_name(), self._database.writing() as session:
            environment = environment_for(
                session, identity, environment_id, Action.ENVIRONMENT_CHANGE
            )
            project = session.get_one(Project, environment.project_id)
            target = audit.Target.of_environment(environment, project.owner_team_id)
            audit.record(session, identity, "environment.change", target, fields=sorted(fields))
            session.execute(
                update(Environment)
                .where(Environment.id == environment_id)
                .values(updated_at=utc_now(), **fields)
            )

    @staticmethod
    @contextmanager
    def _unique_name() -> Iterator[None]:
        """Translate the one constraint that a caller can break."""
        try:
            yield
        except IntegrityError as error:
            raise EnvironmentNameTakenError from error
