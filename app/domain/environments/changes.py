"""PATCH: what may change when, and what of it reaches the container."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.core.errors import EngineError, EnvironmentConflictError, EnvironmentNameTakenError
from app.domain import audit
from app.domain.authorization import Action, Identity, environment_for
from app.domain.environments import ports
from app.domain.environments.containers import Containers
from app.domain.environments.expiry import refuse_expiry
from app.domain.environments.host_ports import HostPorts
from app.domain.environments.records import refuse_ambiguous, unique_name
from app.domain.environments.transition_end import TransitionGuard
from app.domain.environments.transitions import Transition, Transitions, held, run_fields
from app.domain.quotas.checks import Checks
from app.domain.secrets.values import SecretValues
from app.storage import AT_REST, Database, Environment, EnvironmentStatus, Project, utc_now

UP = (EnvironmentStatus.RUNNING, EnvironmentStatus.PAUSED)
# Of the record alone.
_FREE = {"name", "expires_at", "pull"}
# Docker changes them in a container that exists, also while it runs.
_LIMITS = {"cpu_limit", "memory_limit_mb"}


@dataclass(frozen=True)
class _Way:
    """How a change reaches the container; after `harmless` errors that is as it was."""

    allowed: tuple[EnvironmentStatus, ...]
    carry_out: Callable[[Transition, Mapping[str, Any]], dict[str, Any]]
    harmless: tuple[type[EngineError], ...] = ()


class Changes:
    """Changes environments, each in the way that its fields need."""

    def __init__(
        self,
        database: Database,
        transitions: Transitions,
        containers: Containers,
        guard: TransitionGuard,
        secret_values: SecretValues,
        quotas: Checks,
        host_ports: HostPorts,
    ) -> None:
        self._database = database
        self._host_ports = host_ports
        self._quotas = quotas
        self._transitions = transitions
        self._containers = containers
        self._guard = guard
        self._secret_values = secret_values

    def apply(self, identity: Identity, environment_id: str, fields: Mapping[str, Any]) -> None:
        """Change fields. Raises: as `Environments.change`."""
        if fields.get("expires_at") is not None:
            with self._database.reading() as session:
                refuse_expiry(session, fields)
        if set(fields) <= _FREE:
            self._change_record(identity, environment_id, fields)
        elif set(fields) <= _FREE | _LIMITS:
            way = _Way((*UP, *AT_REST), self._limit, harmless=(EngineError,))
            self._change(identity, environment_id, fields, way)
        else:
            self._change(identity, environment_id, fields, _Way(AT_REST, self._discard))

    def _change(
        self,
        identity: Identity,
        environment_id: str,
        fields: Mapping[str, Any],
        way: "_Way",
    ) -> None:
        # First what can be refused without having looked.
        secrets = self._encrypted(fields.get("secrets") or {})
        transition = self._transitions.begin(
            identity,
            environment_id,
            way.allowed,
            EnvironmentStatus.STOPPING,
            action=Action.ENVIRONMENT_CHANGE,
            audited="environment.change",
            fields=fields,
        )
        with self._guard.during(transition, harmless=way.harmless), unique_name():
            # Before the container is touched: a refusal must not cost the user's files in it.
            self._refuse(identity, transition.environment, fields, secrets)
            changes = way.carry_out(transition, fields)
            self._finish(identity, transition, {**fields, **changes}, secrets)

    def _limit(self, transition: Transition, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Set the limits of the container there is."""
        environment = transition.environment
        before = {name: getattr(environment, name) for name in _LIMITS}
        wanted = {name: fields.get(name, value) for name, value in before.items()}
        state = self._containers.look(environment)
        if state is None and environment.status in UP:
            raise EnvironmentConflictError(
                "The container is gone; look at the environment again in a moment."
            )
        # Recorded first, so that of many changes at once each sees what those before it take.
        self._record_limits(transition, wanted)
        if state is not None:
            try:
                self._containers.limit(state.id, **wanted)
            except Exception:
                self._record_limits(transition, before)
                raise
        return {}

    def _record_limits(self, transition: Transition, limits: Mapping[str, Any]) -> None:
        """Record the limits if the owner's quota allows them. Raises: QuotaExceededError."""
        with self._database.writing() as session:
            self._quotas.check_change(
                session, transition.environment, limits["cpu_limit"], limits["memory_limit_mb"]
            )
            session.execute(update(Environment).where(held(transition)).values(**limits))

    def _discard(self, transition: Transition, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Remove the container: the next start makes one with the new fields."""
        self._refuse_quota(transition, fields)
        transition.seen = self._containers.look(transition.environment)
        self._containers.remove(transition.environment)
        return run_fields(transition, None)

    def _refuse(
        self,
        identity: Identity,
        environment: Environment,
        fields: Mapping[str, Any],
        secrets: Mapping[str, str | None],
    ) -> None:
        refuse_ambiguous(fields.get("env", environment.env), merged(environment.secrets, secrets))
        self._host_ports.refuse(fields.get("ports", ()), environment.ports)
        twin = select(Environment.id).where(
            Environment.project_id == environment.project_id,
            Environment.name == fields.get("name"),
            Environment.id != environment.id,
        )
        with self._database.reading() as session:
            if "name" in fields and session.scalar(twin) is not None:
                raise EnvironmentNameTakenError
            if "ports" in fields:
                ports.refuse_reserved(session, identity, environment.id, fields["ports"])

    def _refuse_quota(self, transition: Transition, fields: Mapping[str, Any]) -> None:
        """Refuse limits that the quota does not allow, before Docker hears of them."""
        cpu, memory = fields.get("cpu_limit"), fields.get("memory_limit_mb")
        if cpu is not None or memory is not None:
            with self._database.writing() as session:
                self._quotas.check_change(session, transition.environment, cpu, memory)

    def _finish(
        self,
        identity: Identity,
        transition: Transition,
        fields: Mapping[str, Any],
        secrets: Mapping[str, str | None],
    ) -> None:
        before = transition.environment
        changes = dict(fields)
        exits = transition.exits(None) if "container_id" in fields else ()
        with self._database.writing() as session:
            if "secrets" in fields:
                # Read again: a rotation of the keys may have renewed them meanwhile.
                changes["secrets"] = merged(_secrets(session, before.id), secrets)
            ended = self._transitions.end_in(
                session, transition, before.status, exits, error=before.error, **changes
            )
            if ended and "ports" in fields:
                ports.reserve(session, identity, before.id, fields["ports"])

    def _change_record(
        self, identity: Identity, environment_id: str, fields: Mapping[str, Any]
    ) -> None:
        with unique_name(), self._database.writing() as session:
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

    def _encrypted(self, secrets: Mapping[str, SecretStr | None]) -> dict[str, str | None]:
        return {
            name: None if value is None else self._secret_values.encrypt(value.get_secret_value())
            for name, value in secrets.items()
        }


def merged(before: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return the secrets after a change; None removes one."""
    both = {**before, **changes}
    return {name: token for name, token in both.items() if token is not None}


def _secrets(session: Session, environment_id: str) -> dict[str, str]:
    stored = session.scalars(
        select(Environment.secrets).where(Environment.id == environment_id).with_for_update()
    ).one()
    return dict(stored)
