"""What the door to Docker takes and gives: plain values and the `Engine` protocol.

Nothing here knows the docker SDK, so that services, fakes and telemetry can use it without one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Literal, ParamSpec, Protocol, TypeVar

ENVIRONMENT_LABEL = "vibebox.environment"
"""Container label that holds the environment's id; what lacks it is not ours and is left alone."""

Operation = Literal["create", "start", "stop", "restart", "remove", "exec", "inspect", "ping"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_operations: dict[str, Operation] = {}

OPERATIONS: Mapping[str, Operation] = MappingProxyType(_operations)
"""Method of `Engine` -> its `operation` label in METRICS.md; telemetry wraps exactly these."""


def operation(label: Operation) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Enter a method of `Engine` in `OPERATIONS` under `label`."""

    def enter(method: Callable[_P, _R]) -> Callable[_P, _R]:
        _operations[method.__name__] = label
        return method

    return enter


@dataclass(frozen=True)
class PortBinding:
    """A container port and the host port it is published on.

    `host_port` None asks for any free one in a `ContainerSpec`, and means "not published" in a
    `ContainerState`.
    """

    container_port: int
    host_port: int | None = None
    protocol: str = "tcp"


@dataclass(frozen=True)
class ContainerSpec:
    """What a new container of an environment is made of; `cpu_limit` counts CPUs (0.5 is half)."""

    environment_id: str
    name: str
    image: str
    env: Mapping[str, str]
    ports: Sequence[PortBinding]
    cpu_limit: float
    memory_limit_mb: int
    pids_limit: int = 512


@dataclass(frozen=True)
class ContainerState:
    """A container as the engine sees it now.

    `status` is Docker's word: created, running, paused, restarting, removing, exited or dead.
    `exit_code` is None as long as nothing has ended. `ports` are those of the running container.
    """

    id: str
    status: str
    running: bool
    paused: bool
    exit_code: int | None
    oom_killed: bool
    error: str
    started_at: datetime | None
    ports: tuple[PortBinding, ...]


@dataclass(frozen=True)
class ExecResult:
    """How a command in a container ended; `truncated` when output past the bound was dropped."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    truncated: bool = False


class Engine(Protocol):
    """The operations of the one door to Docker; each method is one logical call.

    Every method may raise EngineUnreachableError, EngineTimeoutError (the call may still be
    carried out later) and EngineError; further errors are listed with the method. A container is
    named by its id or its name. Whoever adds a method gives it `@operation(...)`, a deadline, and
    a case in the tests that run every method through the same failures.
    """

    @operation("ping")
    def ping(self, timeout: float | None = None) -> None:
        """Return when the engine answers; `timeout` shortens or lengthens the default deadline."""

    @operation("inspect")
    def inspect(self, container: str) -> ContainerState:
        """Return the container's state. Raises ContainerNotFoundError."""

    @operation("inspect")
    def inspect_image(self, image: str) -> str:
        """Return the id of a local image. Raises ImageMissingError."""

    @operation("create")
    def create(self, spec: ContainerSpec) -> str:
        """Create a container (not started) and return its id.

        Replaces a container of the same name that belongs to the same environment: it is what a
        create that timed out left behind.
        Raises: ImageMissingError, EngineConflictError when the name belongs to somebody else.
        """

    @operation("start")
    def start(self, container: str) -> None:
        """Start the container; a running one stays as it is.

        Raises: ContainerNotFoundError, EngineConflictError, PortTakenError,
        ExecutableMissingError.
        """

    @operation("stop")
    def stop(self, container: str, grace: int) -> None:
        """Stop the container, by force after `grace` seconds; a stopped one stays as it is.

        Raises: ContainerNotFoundError, EngineConflictError.
        """

    @operation("restart")
    def restart(self, container: str, grace: int) -> None:
        """Stop as `stop` does, then start. Raises what `start` raises."""

    @operation("remove")
    def remove(self, container: str) -> None:
        """Remove the container by force, with its anonymous volumes; an absent one is fine."""

    @operation("exec")
    def exec(
        self, container: str, argv: Sequence[str], *, timeout: float | None = None
    ) -> ExecResult:
        """Run `argv` in the container to its end; a non-zero exit code is a normal result.

        After an EngineTimeoutError the command may go on running: Docker cannot end an exec.
        Raises: ContainerNotFoundError, EngineConflictError when the container is not running,
        ExecutableMissingError.
        """

    def close(self) -> None:
        """Give back idle connections; asks nothing of Docker, so it is no operation."""
