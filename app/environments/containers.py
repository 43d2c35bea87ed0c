"""What an environment does with its container, through the door to Docker.

Each operation begins with a short inspection: it tells an engine that hangs from one that works
before anything is changed, and what is true of the container now.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from app.engine import ContainerSpec, ContainerState, Engine, PortBinding
from app.errors import (
    ContainerNotFoundError,
    EngineConflictError,
    EngineTimeoutError,
    EngineUnreachableError,
    ExecutableMissingError,
)
from app.storage import Environment

# Any answer will do, also that there is no such program; a container that takes longer is stuck.
_PROBE = ("true",)
_PROBE_SECONDS = 10.0


class Containers:
    """Operations on the containers of environments.

    `grace` is in seconds; `instance` gives the id of this VibeBox, which its containers carry.
    """

    def __init__(
        self, engine: Engine, *, grace: int, pids_limit: int, instance: Callable[[], str]
    ) -> None:
        self._engine = engine
        self._instance = instance
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

        Raises: EngineUnreachableError (nothing was changed), ImageMissingError and what create
        raises.
        """
        if seen is not None:
            return seen.id
        try:
            self._engine.inspect_image(environment.image)
        except EngineTimeoutError as error:
            raise EngineUnreachableError from error
        return self._engine.create(self._spec(environment))

    def start(self, container: str) -> ContainerState:
        """Start the container and return its state once it answers an exec."""
        self._engine.start(container)
        self._await_answer(container)
        return self._engine.inspect(container)

    def restart(self, container: str) -> ContainerState:
        """Stop and start the container and return its state right after."""
        self._engine.restart(container, self._grace)
        self._await_answer(container)
        return self._engine.inspect(container)

    def stop(self, container: str) -> ContainerState | None:
        """Stop the container and return its state right after; one that is gone is stopped."""
        try:
            self._engine.stop(container, self._grace)
            return self._engine.inspect(container)
        except ContainerNotFoundError:
            return None

    def remove(self, environment: Environment) -> None:
        """Remove the environment's container, also one whose id was never recorded.

        Raises: EngineUnreachableError, unless no container is known: then none is missed.
        """
        if environment.container_id is not None:
            if self.look(environment) is not None:
                self._engine.remove(environment.container_id)
            return
        try:
            self._engine.ping()
        except (EngineUnreachableError, EngineTimeoutError):
            return
        self._engine.remove(container_name(environment))

    def _await_answer(self, container: str) -> None:
        """Return when the container has answered; one that has ended does so too (409)."""
        try:
            self._engine.exec(container, _PROBE, timeout=_PROBE_SECONDS)
        except (ContainerNotFoundError, EngineConflictError, ExecutableMissingError):
            return

    def _spec(self, environment: Environment) -> ContainerSpec:
        return ContainerSpec(
            environment_id=environment.id,
            name=container_name(environment),
            image=environment.image,
            env=environment.env,
            ports=[PortBinding(**port) for port in environment.ports],
            cpu_limit=environment.cpu_limit,
            memory_limit_mb=environment.memory_limit_mb,
            pids_limit=self._pids_limit,
            instance=self._instance(),
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
