"""The one facade of environments; what it offers is carried out by the modules beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.core.errors import InvalidInputError
from app.domain.authorization import Action, Identity, may_in
from app.domain.environments.changes import Changes
from app.domain.environments.operations import Operations
from app.domain.environments.records import Records
from app.domain.environments.templates import Template, Templates
from app.domain.fields import DEFAULT_VOLUME_PATH
from app.domain.paging import Page
from app.engine import ContainerStats
from app.storage import Environment, EnvironmentStatus, PullPolicy


class Limits:
    """The limits of an environment that names none."""

    def __init__(self, cpu_limit: float, memory_limit_mb: int) -> None:
        self.cpu_limit = cpu_limit
        self.memory_limit_mb = memory_limit_mb


@dataclass(frozen=True)
class Started:
    """A start: the environment as it is now, and the pull that it waits for, if any."""

    environment: Environment
    pull_id: str | None


class Environments:
    """The rules of environments; `app.domain.authorization` decides who sees and changes which."""

    def __init__(
        self,
        records: Records,
        changes: Changes,
        operations: Operations,
        templates: Templates,
        limits: Limits,
    ) -> None:
        self._records = records
        self._changes = changes
        self._operations = operations
        self._templates = templates
        self._limits = limits

    def templates(self, identity: Identity) -> list[Template]:
        """Return what a new environment can be filled from. Raises: PermissionDeniedError."""
        may_in(identity, Action.ENVIRONMENT_READ)
        return self._templates.all()

    def create(
        self,
        identity: Identity,
        fields: Mapping[str, Any],
        *,
        project_id: str | None = None,
        template: str | None = None,
    ) -> Environment:
        """Record a new environment, stopped; its container is made by the first start.

        `fields` are those that the caller names. The template fills the others, and what that
        leaves open has defaults. Without a project it belongs to the caller's personal one.

        Raises: ProjectNotFoundError, PermissionDeniedError, EnvironmentNameTakenError,
        PortReservedError, QuotaExceededError, SecretsNotSetUpError, TemplateNotFoundError,
        InvalidInputError.
        """
        known = self._templates.get(template).values() if template is not None else {}
        given = {name: value for name, value in fields.items() if not _is_open(name, value)}
        defaults = {
            "env": {},
            "secrets": {},
            "ports": [],
            "volume_path": DEFAULT_VOLUME_PATH,
            "cpu_limit": self._limits.cpu_limit,
            "memory_limit_mb": self._limits.memory_limit_mb,
        }
        whole = {**defaults, **known, **given}
        if "image" not in whole:
            raise InvalidInputError([{"field": "image", "message": "Name an image or a template."}])
        return self._records.create(identity, whole, project_id)

    def list(
        self,
        identity: Identity,
        *,
        project_id: str | None = None,
        status: EnvironmentStatus | None = None,
        limit: int,
        offset: int,
    ) -> Page[Environment]:
        """Return a page of the environments that the caller sees, newest first.

        Raises: ProjectNotFoundError, PermissionDeniedError.
        """
        return self._records.list(
            identity, project_id=project_id, status=status, limit=limit, offset=offset
        )

    def get(self, identity: Identity, environment_id: str) -> Environment:
        """Return one environment. Raises: EnvironmentNotFoundError, PermissionDeniedError."""
        return self._records.get(identity, environment_id)

    def change(
        self, identity: Identity, environment_id: str, fields: Mapping[str, Any]
    ) -> Environment:
        """Change fields: of the record, of a container that exists (limits), or for a new one.

        `secrets` are merged with those there are; None removes one.

        Raises: EnvironmentNotFoundError, PermissionDeniedError, EnvironmentNameTakenError,
        EnvironmentConflictError, PortReservedError, SecretsNotSetUpError, InvalidInputError,
        EngineConflictError where Docker refuses the limits, and EngineUnreachableError; nothing
        was changed then.
        """
        self._changes.apply(identity, environment_id, fields)
        return self._records.get(identity, environment_id, Action.ENVIRONMENT_CHANGE)

    def delete(self, identity: Identity, environment_id: str) -> None:
        """Remove container and volume, then the record.

        Raises: EnvironmentNotFoundError, EnvironmentConflictError, EngineUnreachableError.
        """
        self._operations.delete(identity, environment_id)

    def expire(self, environment_id: str, now: datetime) -> None:
        """Delete the environment as VibeBox itself, if its time is over. Raises: as `delete`."""
        self._operations.expire(environment_id, now)

    def start(
        self,
        identity: Identity,
        environment_id: str,
        *,
        pull: PullPolicy | None = None,
    ) -> Started:
        """Make the container where there is none, start it, and record what became of it.

        Where the image must be pulled first the agent does all that, and the environment is
        returned starting.

        Raises: EnvironmentNotFoundError, EnvironmentConflictError, SecretsUnavailableError, and
        the errors of Docker.
        """
        pull_id = self._operations.start(identity, environment_id, pull)
        return Started(self._operated(identity, environment_id), pull_id)

    def restart(self, identity: Identity, environment_id: str) -> Environment:
        """Stop and start the container. Raises: as `start`."""
        self._operations.restart(identity, environment_id)
        return self._operated(identity, environment_id)

    def stop(self, identity: Identity, environment_id: str) -> Environment:
        """Stop the container; it stays, with its files. Ends a start that waits for its image.

        Raises: as `start`.
        """
        self._operations.stop(identity, environment_id)
        return self._operated(identity, environment_id)

    def pause(self, identity: Identity, environment_id: str) -> Environment:
        """Freeze what runs in the container. Raises: as `start`."""
        self._operations.pause(identity, environment_id)
        return self._operated(identity, environment_id)

    def unpause(self, identity: Identity, environment_id: str) -> Environment:
        """Let what is frozen go on. Raises: as `start`."""
        self._operations.unpause(identity, environment_id)
        return self._operated(identity, environment_id)

    def stats(self, identity: Identity, environment_id: str) -> ContainerStats:
        """Measure for about a second what the environment uses.

        Raises: EnvironmentNotFoundError, EnvironmentConflictError where it does not run, and the
        errors of Docker.
        """
        return self._operations.stats(identity, environment_id)

    def _operated(self, identity: Identity, environment_id: str) -> Environment:
        return self._records.get(identity, environment_id, Action.ENVIRONMENT_OPERATE)


def _is_open(name: str, value: Any) -> bool:
    """Tell whether a field of a new environment is as good as left out."""
    return value is None and name not in ("volume_path", "expires_at")
