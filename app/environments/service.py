"""Environments: their records, and the starts and stops that keep record and container one."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError

from app.engine import ContainerState
from app.environments.containers import Containers
from app.environments.transitions import Passage, Transitions, held
from app.errors import (
    EngineError,
    EngineTimeoutError,
    EngineUnreachableError,
    EnvironmentNameTakenError,
    EnvironmentNotFoundError,
    VibeBoxError,
)
from app.storage import Database, Environment, EnvironmentStatus, utc_now

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
    """The rules of environments. Only its owner sees one; for everybody else it does not exist."""

    def __init__(
        self, database: Database, transitions: Transitions, containers: Containers
    ) -> None:
        self._database = database
        self._transitions = transitions
        self._containers = containers

    def create(self, owner_id: str, fields: dict[str, Any]) -> Environment:
        """Record a new environment, stopped; its container is made by the first start.

        Raises: EnvironmentNameTakenError.
        """
        environment = Environment(owner_id=owner_id, **fields)
        with self._unique_name(), self._database.writing() as session:
            session.add(environment)
            session.flush()
            session.refresh(environment)
            session.expunge(environment)
        return environment

    def list(
        self, owner_id: str, *, status: EnvironmentStatus | None, limit: int, offset: int
    ) -> Page:
        """Return a page of the owner's environments, newest first."""
        wanted = Environment.owner_id == owner_id
        if status is not None:
            wanted &= Environment.status == status
        newest = Environment.created_at.desc(), Environment.id.desc()
        with self._database.reading() as session:
            total = session.scalar(select(func.count()).select_from(Environment).where(wanted))
            page = select(Environment).where(wanted).order_by(*newest).limit(limit).offset(offset)
            items = list(session.scalars(page))
            session.expunge_all()
        return Page(items, total or 0)

    def get(self, owner_id: str, environment_id: str) -> Environment:
        """Return one environment. Raises: EnvironmentNotFoundError."""
        with self._database.reading() as session:
            environment = session.scalar(
                select(Environment).where(
                    Environment.id == environment_id, Environment.owner_id == owner_id
                )
            )
            if environment is None:
                raise EnvironmentNotFoundError
            session.expunge(environment)
        return environment

    def change(self, owner_id: str, environment_id: str, fields: dict[str, Any]) -> Environment:
        """Change fields. All but the name go into a new container, so it must be at rest.

        Raises: EnvironmentNotFoundError, EnvironmentNameTakenError, EnvironmentConflictError,
        EngineUnreachableError (nothing was changed).
        """
        if set(fields) <= {"name"}:
            self._rename(owner_id, environment_id, fields)
            return self.get(owner_id, environment_id)
        passage = self._transitions.begin(
            owner_id, environment_id, _AT_REST, EnvironmentStatus.STOPPING
        )
        before = passage.environment
        with self._passing(passage), self._unique_name():
            # First: a refusal must not cost the container, which holds the user's files.
            self._refuse_taken_name(before, fields.get("name"))
            self._containers.remove(before)
            self._transitions.end(
                passage, before.status, error=before.error, container_id=None, **fields
            )
        return self.get(owner_id, environment_id)

    def delete(self, owner_id: str, environment_id: str) -> None:
        """Remove the container, then the record.

        Raises: EnvironmentNotFoundError, EnvironmentConflictError, EngineUnreachableError.
        """
        passage = self._transitions.begin(
            owner_id, environment_id, _ANY, EnvironmentStatus.STOPPING
        )
        with self._passing(passage):
            self._containers.remove(passage.environment)
            with self._database.writing() as session:
                session.execute(delete(Environment).where(held(passage)))

    def start(self, owner_id: str, environment_id: str) -> Environment:
        """Make the container where there is none, start it, and record what became of it.

        Raises: EnvironmentNotFoundError, EnvironmentConflictError, and the errors of Docker.
        """
        return self._run(owner_id, environment_id, _AT_REST, self._containers.start)

    def restart(self, owner_id: str, environment_id: str) -> Environment:
        """Stop and start the container. Raises: as `start`."""
        return self._run(owner_id, environment_id, _UP, self._containers.restart)

    def stop(self, owner_id: str, environment_id: str) -> Environment:
        """Stop the container; it stays, with its files. Raises: as `start`."""
        passage = self._transitions.begin(owner_id, environment_id, _UP, EnvironmentStatus.STOPPING)
        with self._passing(passage):
            state = self._containers.look(passage.environment)
            if state is not None:
                self._containers.stop(state.id)
            self._transitions.end(
                passage, EnvironmentStatus.STOPPED, error=None, published_ports=[]
            )
        return self.get(owner_id, environment_id)

    def _run(
        self,
        owner_id: str,
        environment_id: str,
        allowed: tuple[EnvironmentStatus, ...],
        launch: Callable[[str], ContainerState],
    ) -> Environment:
        passage = self._transitions.begin(
            owner_id, environment_id, allowed, EnvironmentStatus.STARTING
        )
        with self._passing(passage):
            passage.environment.container_id = self._containers.ensure(passage.environment)
            state = launch(passage.environment.container_id)
            self._settle(passage, state)
        return self.get(owner_id, environment_id)

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
            Environment.owner_id == environment.owner_id,
            Environment.name == name,
            Environment.id != environment.id,
        )
        with self._database.reading() as session:
            if name is not None and session.scalar(twin) is not None:
                raise EnvironmentNameTakenError

    def _rename(self, owner_id: str, environment_id: str, fields: dict[str, Any]) -> None:
        with self._unique_name(), self._database.writing() as session:
            session.execute(
                update(Environment)
                .where(Environment.id == environment_id, Environment.owner_id == owner_id)
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
