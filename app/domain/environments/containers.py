"""What an environment does with its container, through the gateway to Docker.

Each operation begins with a short inspection: it tells an engine that hangs from one that works
before anything is changed, and what is true of the container now.
"""

import logging
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from sqlalchemy import select

from app.core.errors import (
    ContainerNotFoundError,
    EngineConflictError,
    EngineTimeoutError,
    EngineUnreachableError,
    ExecutableMissingError,
    ImageMissingError,
    LimitsRefusedError,
    PortTakenError,
)
from app.domain.environments.host_ports import HostPorts
from app.domain.secrets.values import SecretValues
from app.domain.user_telemetry.presets import Presets
from app.engine import (
    ENVIRONMENT_LABEL,
    INSTANCE_LABEL,
    ContainerSpec,
    ContainerState,
    ContainerStats,
    Cut,
    Engine,
    PortBinding,
    PullProgress,
    VolumeMount,
)
from app.storage import Database, Environment, Installation, PullPolicy

# What an exec is tried with: whether there is such a command does not matter, only an answer.
_NO_OP = ("true",)
_NO_OP_SECONDS = 10.0
_PICKS = 4
_log = logging.getLogger(__name__)


class Containers:
    """Operations on the containers of environments; `grace` is in seconds.

    `instance` gives the id of this installation.
    """

    def __init__(
        self,
        engine: Engine,
        secret_values: SecretValues,
        instance: Callable[[], str],
        host_ports: HostPorts,
        presets: Presets | None = None,
        *,
        grace: int,
        pids_limit: int,
    ) -> None:
        self._engine = engine
        self._secret_values = secret_values
        self._instance = instance
        self._host_ports = host_ports
        self._presets = presets
        self._grace = grace
        self._pids_limit = pids_limit

    def look(self, environment: Environment) -> ContainerState | None:
        """Return the state of the environment's container, None where there is none.

        Raises: EngineUnreachableError, also where the engine takes longer than an inspection may.
        """
        if environment.container_id is None:
            return None
        try:
            return self._engine.inspect(environment.container_id)
        except ContainerNotFoundError:
            return None
        except EngineTimeoutError as error:
            raise EngineUnreachableError from error

    def ensure(self, environment: Environment, seen: ContainerState | None) -> str:
        """Return the id of the environment's container; make one where none was `seen`.

        Raises: PortReservedError, SecretsUnavailableError and EngineUnreachableError (nothing was
        changed), ImageMissingError and what create raises.
        """
        container = self.prepare(environment, seen, PullPolicy.NEVER)
        if container is None:
            raise ImageMissingError(environment.image)
        return container

    def prepare(
        self, environment: Environment, seen: ContainerState | None, policy: PullPolicy
    ) -> str | None:
        """Do as `ensure`; None, with nothing changed, where the image must be pulled first."""
        self._host_ports.refuse_ours(environment.ports)
        variables = self._variables(environment)
        if seen is None or policy is PullPolicy.ALWAYS:
            held = self.image(environment.image)
            if policy is PullPolicy.ALWAYS or (held is None and policy is PullPolicy.MISSING):
                return None
            if held is None:
                raise ImageMissingError(environment.image)
        return seen.id if seen is not None else self._create(environment, variables)

    def image(self, image: str) -> str | None:
        """Return the id of an image of the host, None where it holds none of that name."""
        try:
            return self._engine.inspect_image(image)
        except ImageMissingError:
            return None
        except EngineTimeoutError as error:
            raise EngineUnreachableError from error

    def pull(self, image: str, progress: Callable[[PullProgress], None], cut: Cut) -> None:
        """Fetch the image; see `Engine.pull`."""
        self._engine.pull(image, progress, cut)

    def answers(self, container: str) -> None:
        """Return once the container has answered an exec.

        Raises: EngineConflictError where it has ended already.
        """
        try:
            self._engine.exec(container, _NO_OP, timeout=_NO_OP_SECONDS)
        except ExecutableMissingError:
            return

    def start(self, environment: Environment, container: str) -> ContainerState:
        """Start the container and return its state right after.

        One that was made with limits that Docker refuses by now gets those of its environment.
        """
        launch = partial(self._engine.start, container)
        try:
            return self._launched(environment, launch, container)
        except LimitsRefusedError:
            self.limit(container, environment.cpu_limit, environment.memory_limit_mb)
            return self._launched(environment, launch, container)

    def restart(self, environment: Environment, container: str) -> ContainerState:
        """Stop and start the container and return its state right after."""
        restart = partial(self._engine.restart, container, self._grace)
        return self._launched(environment, restart, container)

    def stop(self, container: str) -> ContainerState | None:
        """Stop the container and return its state right after; one that is gone is stopped."""
        try:
            self._engine.stop(container, self._grace)
            return self._engine.inspect(container)
        except ContainerNotFoundError:
            return None

    def inspect(self, container: str) -> ContainerState:
        """Return the state of the container."""
        return self._engine.inspect(container)

    def pause(self, container: str) -> None:
        """Freeze the container's processes."""
        self._engine.pause(container)

    def unpause(self, container: str) -> None:
        """Let the container's processes go on."""
        self._engine.unpause(container)

    def limit(self, container: str, cpu_limit: float, memory_limit_mb: int) -> None:
        """Set limits, which hold at once. Raises: EngineConflictError (the old ones hold)."""
        self._engine.update(container, cpu_limit=cpu_limit, memory_limit_mb=memory_limit_mb)

    def stats(self, container: str) -> ContainerStats:
        """Measure what the container uses."""
        return self._engine.stats(container)

    def remove(self, environment: Environment) -> bool:
        """Remove the environment's container, also one whose id was never recorded.

        Tells whether the engine answered.
        Raises: EngineUnreachableError, unless no container is known: then none is missed.
        """
        if environment.container_id is not None:
            if self.look(environment) is not None:
                self._engine.remove(environment.container_id)
            return True
        try:
            self._engine.ping()
        except (EngineUnreachableError, EngineTimeoutError):
            return False
        self._engine.remove(container_name(environment))
        return True

    def remove_volume(self, environment: Environment) -> None:
        """Remove the environment's volume, once its container is gone; an absent one is fine.

        Where the engine is lost meanwhile it stays, for the agent to remove.
        Raises: EngineConflictError where something else uses it.
        """
        try:
            self._engine.volume_remove(volume_name(environment))
        except (EngineUnreachableError, EngineTimeoutError):
            return
        except EngineConflictError as error:
            raise EngineConflictError(
                f"The volume {volume_name(environment)!r} is used by a container that does not "
                "belong to the environment; the operator removes that one."
            ) from error

    def _launched(
        self, environment: Environment, launch: Callable[[], None], container: str
    ) -> ContainerState:
        """Launch the container; again where Docker picked a port that no environment gets.

        Each start picks anew. An engine that is given a range tries one port of it in a start.
        Raises: PortTakenError, with the container stopped, where a few starts found none.
        """
        wrong, refused = "", None
        for _ in range(_PICKS):
            try:
                launch()
            except PortTakenError as error:
                if not self._host_ports.may_pick_another(environment.ports):
                    raise
                refused = error
                continue
            state = self._engine.inspect(container)
            wrong = self._host_ports.wrongly_picked(environment.ports, state.ports) or ""
            if not wrong or not state.running:
                return state
            _log.warning("picked host port is not for environments", extra={"why": wrong})
            launch = partial(self._engine.restart, container, 0)
        if refused is not None and not wrong:
            raise refused
        self._engine.stop(container, 0)
        raise PortTakenError(
            f"Docker picked the {wrong}; start the environment again, or choose a host port."
        )

    def _variables(self, environment: Environment) -> dict[str, str]:
        secrets = environment.secrets.items()
        decrypted = {name: self._secret_values.decrypt(token) for name, token in secrets}
        own = {**environment.env, **decrypted}
        return {**(self._presets.of(environment, own) if self._presets else {}), **own}

    def _create(self, environment: Environment, variables: dict[str, str]) -> str:
        spec = self._spec(environment, variables)
        if spec.volume is not None:
            labels = {ENVIRONMENT_LABEL: environment.id, INSTANCE_LABEL: spec.instance}
            self._engine.volume_create(spec.volume.name, labels)
        return self._engine.create(spec)

    def _spec(self, environment: Environment, variables: dict[str, str]) -> ContainerSpec:
        path = environment.volume_path
        return ContainerSpec(
            environment_id=environment.id,
            name=container_name(environment),
            image=environment.image,
            env=variables,
            ports=[PortBinding(**port) for port in environment.ports],
            cpu_limit=environment.cpu_limit,
            memory_limit_mb=environment.memory_limit_mb,
            pids_limit=self._pids_limit,
            volume=VolumeMount(volume_name(environment), path) if path is not None else None,
            instance=self._instance(),
            picked_from=self._host_ports.picked_from,
        )


def container_name(environment: Environment) -> str:
    """Return the name of the environment's container: fixed, so that a lost one is found."""
    return name_for(environment.id)


def name_for(environment_id: str) -> str:
    """Return the name of the container of an environment that is known by its id alone."""
    return f"vibebox-{environment_id}"


def published(state: ContainerState) -> list[dict[str, Any]]:
    """Return where the container's ports are published, as a record keeps them."""
    return [asdict(port) for port in state.ports if port.host_port] if state.running else []


def volume_name(environment: Environment) -> str:
    """Return the name of the environment's volume, which outlives its containers."""
    return f"vibebox-{environment.id}"


class InstallationId:
    """The id of this VibeBox, by which its containers are told from those of another one.

    It is read when it is first asked for, and kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._id: str | None = None

    def __call__(self) -> str:
        """Return the id. Raises: StorageUnavailableError."""
        if self._id is None:
            with self._database.reading() as session:
                self._id = session.scalars(select(Installation.id)).one()
        return self._id
