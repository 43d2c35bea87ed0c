"""What an environment does with its container, through the door to Docker.

Each operation begins with a short inspection: it tells an engine that hangs from one that works
before anything is changed, and what is true of the container now.
"""

from app.engine import ContainerSpec, ContainerState, Engine, PortBinding
from app.errors import ContainerNotFoundError, EngineTimeoutError, EngineUnreachableError
from app.storage import Environment


class Containers:
    """Operations on the containers of environments; `grace` is in seconds."""

    def __init__(self, engine: Engine, *, grace: int, pids_limit: int) -> None:
        self._engine = engine
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

    def ensure(self, environment: Environment) -> str:
        """Return the id of the environment's container; make one where there is none.

        Raises: EngineUnreachableError (nothing was changed), ImageMissingError and what create
        raises.
        """
        state = self.look(environment)
        if state is not None:
            return state.id
        try:
            self._engine.inspect_image(environment.image)
        except EngineTimeoutError as error:
            raise EngineUnreachableError from error
        return self._engine.create(self._spec(environment))

    def start(self, container: str) -> ContainerState:
        """Start the container and return its state right after."""
        self._engine.start(container)
        return self._engine.inspect(container)

    def restart(self, container: str) -> ContainerState:
        """Stop and start the container and return its state right after."""
        self._engine.restart(container, self._grace)
        return self._engine.inspect(container)

    def stop(self, container: str) -> None:
        """Stop the container; one that is gone is stopped."""
        try:
            self._engine.stop(container, self._grace)
        except ContainerNotFoundError:
            return

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
        )


def container_name(environment: Environment) -> str:
    """Return the name of the environment's container: fixed, so that a lost one is found."""
    return f"vibebox-{environment.id}"
