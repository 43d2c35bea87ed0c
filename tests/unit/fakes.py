"""Stand-ins whose failures can be switched on; used only where the real thing would not fail."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeVar

from app.engine import ContainerSpec, ContainerState, ExecResult, PortBinding
from app.errors import (
    ContainerNotFoundError,
    EngineError,
    EngineTimeoutError,
    EngineUnreachableError,
    ExecutableMissingError,
    ImageMissingError,
    PortTakenError,
)

T = TypeVar("T")
IMAGE = "busybox:1"
FIRST_FREE_PORT = 32768


class Failure(Enum):
    """How a call of Docker fails."""

    UNREACHABLE = auto()  # nobody there
    LOST = auto()  # carried out, but the connection broke before the answer
    TIMED_OUT = auto()  # no answer, and nothing was done
    LATE = auto()  # no answer in time, but it was carried out
    FAULTY = auto()  # the engine reports a fault of its own
    PORT_TAKEN = auto()
    EXECUTABLE_MISSING = auto()
    BUG = auto()  # what nobody foresaw


_ERRORS: dict[Failure, Callable[[], Exception]] = {
    Failure.UNREACHABLE: EngineUnreachableError,
    Failure.LOST: EngineUnreachableError,
    Failure.TIMED_OUT: EngineTimeoutError,
    Failure.LATE: EngineTimeoutError,
    Failure.FAULTY: EngineError,
    Failure.PORT_TAKEN: PortTakenError,
    Failure.EXECUTABLE_MISSING: ExecutableMissingError,
    Failure.BUG: lambda: RuntimeError("secret-bug-text"),
}
_CARRIED_OUT = (Failure.LOST, Failure.LATE)


@dataclass
class FakeContainer:
    """A container in memory."""

    spec: ContainerSpec
    status: str = "created"
    exit_code: int | None = None


@dataclass
class FakeEngine:
    """Docker in memory; `failures` maps a method, or `*`, to the way in which it fails."""

    images: set[str] = field(default_factory=lambda: {IMAGE})
    containers: dict[str, FakeContainer] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    ends_with: int | None = None
    """Exit code with which each container ends right after its start."""
    started: threading.Event = field(default_factory=threading.Event)
    """Set when a start was asked for."""
    gate: threading.Event | None = None
    """What a start waits for."""

    def ping(self, timeout: float | None = None) -> None:
        return self._call("ping", lambda: None)

    def inspect(self, container: str) -> ContainerState:
        return self._call("inspect", lambda: self._state(container))

    def inspect_image(self, image: str) -> str:
        return self._call("inspect_image", lambda: self._image(image))

    def create(self, spec: ContainerSpec) -> str:
        def work() -> str:
            self._image(spec.image)
            identity = f"id-{len(self.calls)}"
            self.containers[identity] = FakeContainer(spec)
            return identity

        return self._call("create", work)

    def start(self, container: str) -> None:
        self.started.set()
        if self.gate is not None:
            assert self.gate.wait(10)
        self._call("start", lambda: self._launch(container))

    def stop(self, container: str, grace: int) -> None:
        self._call("stop", lambda: self._end(container, 137))

    def restart(self, container: str, grace: int) -> None:
        self._call("restart", lambda: self._launch(container))

    def remove(self, container: str) -> None:
        def work() -> None:
            found = self._named(container)
            if found is not None:
                del self.containers[found]

        self._call("remove", work)

    def exec(
        self, container: str, argv: Sequence[str], *, timeout: float | None = None
    ) -> ExecResult:
        return self._call("exec", lambda: ExecResult(0, b"", b""))

    def close(self) -> None:
        """Nothing to give back."""

    def only(self) -> FakeContainer:
        """Return the one container there is."""
        (container,) = self.containers.values()
        return container

    def _call(self, method: str, work: Callable[[], T]) -> T:
        self.calls.append(method)
        failure = self.failures.get(method) or self.failures.get("*")
        if failure is None:
            return work()
        if failure in _CARRIED_OUT:
            work()
        raise _ERRORS[failure]()

    def _named(self, name: str) -> str | None:
        for identity, container in self.containers.items():
            if name in (identity, container.spec.name):
                return identity
        return None

    def _get(self, name: str) -> FakeContainer:
        found = self._named(name)
        if found is None:
            raise ContainerNotFoundError
        return self.containers[found]

    def _image(self, image: str) -> str:
        if image not in self.images:
            raise ImageMissingError(image)
        return f"sha256:{image}"

    def _launch(self, name: str) -> None:
        container = self._get(name)
        container.status, container.exit_code = "running", None
        if self.ends_with is not None:
            self._end(name, self.ends_with)

    def _end(self, name: str, exit_code: int) -> None:
        container = self._get(name)
        container.status, container.exit_code = "exited", exit_code

    def _state(self, name: str) -> ContainerState:
        container = self._get(name)
        up = container.status in ("running", "paused")
        return ContainerState(
            id=self._named(name) or "",
            status=container.status,
            running=up,
            paused=container.status == "paused",
            exit_code=container.exit_code,
            oom_killed=False,
            error="",
            started_at=None,
            ports=tuple(_published(container.spec.ports)) if up else (),
        )


def _published(ports: Sequence[PortBinding]) -> list[PortBinding]:
    return [
        PortBinding(port.container_port, port.host_port or FIRST_FREE_PORT + index, port.protocol)
        for index, port in enumerate(ports)
    ]
