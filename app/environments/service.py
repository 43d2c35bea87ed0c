"""Environments: their records, and the starts and stops that keep record and container one."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, update
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
from app.environments.containers import Containers
from app.environments.transitions import Passage, Transitions, held
from app.errors import (
    EngineError,
    EngineTimeoutError,
    EngineUnreachableError,
    EnvironmentNameTakenError,
    VibeBoxError,
)
from app.projects.personal import personal_project
from app.quotas.checks import Checks
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
        self,
        database: Database,
        transitions: Transitions,
        containers: Containers,
        quotas: Checks,
    ) -> None:
        self._database = database
        self._quotas = quotas
        self._transitions = transitions
        self._containers = containers

    def create(
        self, identity: Identity, fields: dict[str, Any], project_id: str | None = None
    ) -> Environment:
        """Record a new environment, stopped; its container is made by the first start.

        Without a project it belongs to the caller's personal one.
        Raises: ProjectNotFoundError, PermissionDeniedError, EnvironmentNameTakenError,
        QuotaExceededError.
        """
        with self._unique_name(), self._database.writing() as session:
            project = project_for(
                session,
                identity,
                project_id or personal_project(session, identity),
                Action.ENVIRONMENT_CREATE,
            )
            self._quotas.check_create(session, project, fields)
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

    def get(
        self,
        identity: Identity,
        environment_id: str,
        action: Action = Action.ENVIRONMENT_READ,
    ) -> Environment:
        """Return one environment, to whoever may do `action` and so sees what became of it.

        Raises: EnvironmentNotFoundError, PermissionDeniedError.
        """
        with self._database.reading() as session:
            environment = environment_for(session, identity, environment_id, action)
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
            return self.get(identity, environment_id, Action.ENVIRONMENT_CHANGE)
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
            self._containers.remove(before)
            self._transitions.end(
                passage, before.status, error=before.error, container_id=None, **fields
            )
        return self.get(identity, environment_id, Action.ENVIRONMENT_CHANGE)

    def delete(self, identity: Identity, environment_id: str) -> None:
        """Remove the container, then the record.

        Raises: EnvironmentNotFoundError, EnvironmentConflictError, EngineUnreachableError.
        """
        passage = self._transitions.begin(
            identity,
            environment_id,
            _ANY,
            EnvironmentStatus.STOPPING,
            action=Action.ENVIRONMENT_DELETE,
            audited="environment.delete",
            ends=True,
        )
        with self._passing(passage):
            self._containers.remove(passage.environment)
            with self._database.writing() as session:
                session.execute(delete(Environment).where(held(passage)))

    def start(self, identity: Identity, environment_id: str) -> Environment:
        """Make the container where there is none, start it, and record what became of it.

        Raises: EnvironmentNotFoundError, EnvironmentConflictError, and the errors of Docker.
        """
        return self._run(
            identity, environment_id, _AT_REST, "environment.start", self._containers.start
        )

    def restart(self, identity: Identity, environment_id: str) -> Environment:
        """Stop and start the container. Raises: as `start`."""
        return self._run(
            identity, environment_id, _UP, "environment.restart", self._containers.restart
        )

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
            state = self._containers.look(passage.environment)
            if state is not None:
                self._containers.stop(state.id)
            self._transitions.end(
                passage, EnvironmentStatus.STOPPED, error=None, published_ports=[]
            )
        return self.get(identity, environment_id, Action.ENVIRONMENT_OPERATE)

    def _run(
        self,
        identity: Identity,
        environment_id: str,
        allowed: tuple[EnvironmentStatus, ...],
        audited: str,
        launch: Callable[[str], ContainerState],
    ) -> Environment:
        passage = self._transitions.begin(
            identity,
            environment_id,
            allowed,
            EnvironmentStatus.STARTING,
            action=Action.ENVIRONMENT_OPERATE,
            audited=audited,
            ends=True,
        )
        with self._passing(passage):
            passage.environment.container_id = self._containers.ensure(passage.environment)
            state = launch(passage.environment.container_id)
            self._settle(passage, state)
        return self.get(identity, environment_id, Action.ENVIRONMENT_OPERATE)

    @contextmanager
    def _passing(self, passage: Passage) -> Iterator[None]:
        """Leave no passage behind: whatever goes wrong, the record says what is known."""
        try:
            yield
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

    def _settle(self, passage: Passage, state: ContainerState) -> None:
        """End the passage with what Docker says of the container."""
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
        ports = [asdict(port) for port in state.ports if port.host_port] if state.running else []
        self._transitions.end(
            passage, status, error=error, container_id=state.id, published_ports=ports
        )

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
