"""The `Engine` protocol: the operations of the one gateway to Docker, and how they are labelled.

Nothing here knows the docker SDK, so that services, fakes and telemetry can use it without one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType, TracebackType
from typing import Literal, ParamSpec, Protocol, Self, TypeVar

from app.engine.cutting import Cut
from app.engine.values import (
    ContainerEvent,
    ContainerSpec,
    ContainerState,
    ContainerStats,
    ContainerSummary,
    DiskUse,
    ExecResult,
    ExecState,
    HostProcess,
    LogLine,
    PullProgress,
    RunCounters,
    VolumeSummary,
)

Operation = Literal[
    "create",
    "start",
    "stop",
    "restart",
    "kill",
    "pause",
    "unpause",
    "update",
    "remove",
    "pull",
    "exec",
    "inspect",
    "list",
    "logs",
    "events",
    "stats",
    "volume",
    "ping",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_T_co = TypeVar("_T_co", covariant=True)
_operations: dict[str, Operation] = {}

OPERATIONS: Mapping[str, Operation] = MappingProxyType(_operations)
"""Method of `Engine` -> its `operation` label in METRICS.md; telemetry wraps exactly these."""


def operation(label: Operation) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Enter a method of `Engine` in `OPERATIONS` under `label`."""

    def enter(method: Callable[_P, _R]) -> Callable[_P, _R]:
        _operations[method.__name__] = label
        return method

    return enter


class Stream(Protocol[_T_co]):
    """What an engine sends for as long as it has something to say; close it after use.

    Iterating ends by itself when the engine ended the stream in order, and when somebody called
    `close`. Raises EngineUnreachableError when the connection is lost, EngineTimeoutError when the
    engine has stopped answering, EngineError when it says something unknown.
    """

    def __iter__(self) -> Iterator[_T_co]: ...

    def __next__(self) -> _T_co: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def close(self) -> None:
        """Let go of the connection; from any thread, also while another one iterates."""


class TerminalStream(Protocol):
    """A command with a tty: bytes both ways, without ever waiting. Close it after use.

    Closing ends the connection only; the command may go on.
    """

    @property
    def exec_id(self) -> str:
        """Docker's id of the command."""

    @property
    def pid(self) -> int | None:
        """Its first process, in the numbers of the engine's host; None where it has ended."""

    def fileno(self) -> int:
        """Return the descriptor, for `poll()`."""

    def read(self) -> bytes | None:
        """Return what the command wrote: None for nothing now, b"" when it has ended.

        Read once before the first `poll()`: some of it may be here already.
        """

    def write(self, data: bytes) -> int:
        """Give the command input; return how many bytes it took now."""

    def close(self) -> None:
        """Let go of the connection."""


class Engine(Protocol):
    """The operations of the one gateway to Docker; each method is one logical call.

    Every method may raise EngineUnreachableError, EngineTimeoutError (the call may still be
    carried out later) and EngineError; further errors are listed with the method. A container is
    named by its id or its name. Whoever adds a method gives it `@operation(...)`, a deadline, and
    a case in the tests that run every method through the same failures.
    """

    @operation("ping")
    def ping(self, timeout: float | None = None) -> None:
        """Return when the engine answers; `timeout` shortens or lengthens the default deadline."""

    def verify(self, timeout: float) -> None:
        """Return when the engine can do its work: its runtime answers, and its disk has room.

        For checks, and so no operation that is counted. It makes a volume and removes it.
        Raises: EngineFullError and others.
        """

    def clock(self, timeout: float) -> datetime:
        """Return what time it is on the engine's host.

        For checks, as `verify`, and so no operation that is counted.
        """

    @operation("list")
    def list_containers(self, *, environment_label_only: bool = True) -> list[ContainerSummary]:
        """Return the containers of all environments, also stopped ones; or all there are."""

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

    @operation("pull")
    def pull(
        self,
        image: str,
        progress: Callable[[PullProgress], None] | None = None,
        cut: Cut | None = None,
    ) -> None:
        """Fetch the image from its registry; `progress` hears of each step, in this thread.

        What `progress` raises ends the pull and is passed on; `cut` ends it from another thread,
        also while nothing happens. Raises: ImagePullError when there is no such image for us,
        PullCutError.
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

    @operation("kill")
    def kill(self, container: str, signal: str = "SIGKILL") -> None:
        """Send the container's first process a signal.

        Raises: ContainerNotFoundError, EngineConflictError when the container is not running.
        """

    @operation("pause")
    def pause(self, container: str) -> None:
        """Freeze the container's processes.

        Raises: ContainerNotFoundError, EngineConflictError when it is not running, or frozen.
        """

    @operation("unpause")
    def unpause(self, container: str) -> None:
        """Let the container's processes go on.

        Raises: ContainerNotFoundError, EngineConflictError when they are not frozen.
        """

    @operation("update")
    def update(self, container: str, *, cpu_limit: float, memory_limit_mb: int) -> None:
        """Set new limits, at once where the container runs; memory and swap together.

        Raises: ContainerNotFoundError, EngineConflictError when Docker refuses the limits: more
        memory is in use, or the host has not as many CPUs. The old limits hold then.
        """

    @operation("update")
    def limit_processes(self, container: str, number: int) -> None:
        """Let the container hold so many processes from now on; those that it has go on.

        Raises: ContainerNotFoundError.
        """

    @operation("inspect")
    def processes(self, container: str) -> list[HostProcess]:
        """Return the processes of a container as its host sees them, also of a frozen one.

        What runs in the container cannot make them look otherwise. Raises: ContainerNotFoundError,
        EngineConflictError when it is not running, EngineError where the host has no `ps`.
        """

    @operation("remove")
    def remove(self, container: str) -> None:
        """Remove the container by force, with its anonymous volumes; an absent one is fine.

        Named volumes stay.
        """

    @operation("exec")
    def exec(
        self, container: str, argv: Sequence[str], *, timeout: float | None = None
    ) -> ExecResult:
        """Run `argv` in the container to its end; a non-zero exit code is a normal result.

        After a time-out the command may go on running: Docker cannot end an exec.
        Raises: ContainerNotFoundError, EngineConflictError when the container is not running,
        ExecutableMissingError, CommandTimeoutError (an EngineTimeoutError) where the command took
        too long and not the engine, CommandRunawayError where it prints without end, or too many
        hang in the container.
        """

    @operation("update")
    def put_file(self, container: str, path: str, content: bytes, owner: tuple[int, int]) -> None:
        """Write a file into the container, readable by all, for a user and a group by number.

        Its directory has to be there. Raises: ContainerNotFoundError.
        """

    @operation("exec")
    def terminal(
        self,
        container: str,
        argv: Sequence[str],
        *,
        cols: int,
        rows: int,
        env: Mapping[str, str] | None = None,
    ) -> TerminalStream:
        """Start `argv` with a tty of that size and return once it runs, or has ended already.

        Raises: ContainerNotFoundError, EngineConflictError when the container is not running,
        ExecutableMissingError.
        """

    @operation("exec")
    def resize_terminal(self, exec_id: str, *, cols: int, rows: int) -> None:
        """Give the tty of a command another size. Raises: ContainerNotFoundError."""

    @operation("inspect")
    def inspect_exec(self, exec_id: str) -> ExecState:
        """Return what has become of a command.

        Raises: ContainerNotFoundError for one the engine has forgotten, with its container's run.
        """

    @operation("stats")
    def stats(self, container: str) -> ContainerStats:
        """Measure for about a quarter of a second, or a second, what the container uses.

        Raises: ContainerNotFoundError, EngineConflictError when the container is not running.
        """

    @operation("stats")
    def counters(self, container: str) -> RunCounters:
        """Return what the container has used since it was started.

        At once, or by 20.10 when its own reading of the second comes round.
        Docker does not say of which start: who has to know looks before and after.
        Raises: ContainerNotFoundError, EngineConflictError when the container is not running.
        """

    @operation("logs")
    def logs(
        self, container: str, *, since_ns: int | None = None, follow: bool = False
    ) -> Stream[LogLine]:
        """Return what the container printed, also a stopped one, from `since_ns` on (inclusive).

        Each line comes once and in order. With `follow` the stream goes on until the container
        stops or is removed; a busy log comes in bursts then. Raises: ContainerNotFoundError.
        """

    @operation("events")
    def events(self, since_ns: int | None = None) -> Stream[ContainerEvent]:
        """Return what happens to containers of environments, from `since_ns` on (inclusive).

        What happens after this returns is in the stream. Of the past the engine remembers its
        last 256 events of any kind at most (20.10), and none from before its own start.
        """

    @operation("volume")
    def volume_create(self, name: str, labels: Mapping[str, str]) -> None:
        """Make a named volume; one that exists stays as it is."""

    @operation("volume")
    def volume_remove(self, name: str) -> None:
        """Remove a named volume and what is in it; an absent one is fine.

        Raises: EngineConflictError when a container uses it, also a stopped one.
        """

    @operation("volume")
    def list_volumes(self) -> list[VolumeSummary]:
        """Return the volumes of all environments."""

    @operation("stats")
    def disk_usage(self) -> dict[str, DiskUse | None]:
        """Return what environments hold on disk, by id, of those that have a volume or container.

        None where the engine cannot tell. It walks through the files of all volumes: with millions
        of them that takes long, and an hour is waited for it.
        """

    def close(self) -> None:
        """Give back idle connections; asks nothing of Docker, so it is no operation."""
