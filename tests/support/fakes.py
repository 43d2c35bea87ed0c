"""Stand-ins whose failures can be switched on; used only where the real thing would not fail."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import TypeVar

from app.core.errors import (
    CommandTimeoutError,
    ContainerNotFoundError,
    EngineConflictError,
    EngineError,
    EngineTimeoutError,
    EngineUnreachableError,
    ExecutableMissingError,
    ImageMissingError,
    ImagePullError,
    PortTakenError,
    PullCutError,
)
from app.domain.sessions.marked import _SCRIPT as ENDING_SCRIPT
from app.engine import (
    ENVIRONMENT_LABEL,
    INSTANCE_LABEL,
    ContainerEvent,
    ContainerSpec,
    ContainerState,
    ContainerStats,
    ContainerSummary,
    Cut,
    DiskUse,
    ExecResult,
    ExecState,
    HostProcess,
    LayerProgress,
    LogLine,
    PortBinding,
    PullProgress,
    RunCounters,
    TerminalStream,
    VolumeSummary,
)
from tests.support.fake_streams import FakeStream, Since

T = TypeVar("T")
IMAGE = "busybox:1"
ENDED = b"vibebox: ended\n"
FIRST_FREE_PORT = 32768
FIRST_START = datetime(2026, 1, 1, tzinfo=UTC)
NOTHING_USED = RunCounters(
    int(FIRST_START.timestamp()) * 10**9 + 10**10, 0, 0, 0, None, 64 * 2**20, None, 0, 0, 0, 0
)


class Failure(Enum):
    """How a call of Docker fails."""

    UNREACHABLE = auto()  # nobody there
    LOST = auto()  # carried out, but the connection broke before the answer
    TIMED_OUT = auto()  # no answer, and nothing was done
    LATE = auto()  # no answer in time, but it was carried out
    FAULTY = auto()  # the engine reports a fault of its own
    PORT_TAKEN = auto()
    EXECUTABLE_MISSING = auto()
    CONFLICT = auto()  # the container does not allow it
    BUG = auto()  # what nobody foresaw


_ERRORS: dict[Failure, Callable[[], Exception]] = {
    Failure.UNREACHABLE: EngineUnreachableError,
    Failure.LOST: EngineUnreachableError,
    Failure.TIMED_OUT: EngineTimeoutError,
    Failure.LATE: EngineTimeoutError,
    Failure.FAULTY: EngineError,
    Failure.PORT_TAKEN: PortTakenError,
    Failure.EXECUTABLE_MISSING: ExecutableMissingError,
    Failure.CONFLICT: EngineConflictError,
    Failure.BUG: lambda: RuntimeError("secret-bug-text"),
}
_CARRIED_OUT = (Failure.LOST, Failure.LATE)


@dataclass
class FakeContainer:
    """A container in memory."""

    spec: ContainerSpec
    status: str = "created"
    exit_code: int | None = None
    runs: int = 0
    oom_killed: bool = False
    first_picked: int = FIRST_FREE_PORT

    @property
    def up(self) -> bool:
        """Whether its processes exist, be they frozen."""
        return self.status in ("running", "paused")

    @property
    def started_at(self) -> datetime | None:
        """A second after the start before: each run has a start of its own."""
        return FIRST_START + timedelta(seconds=self.runs) if self.runs else None


class EndedTerminal:
    """The terminal of a command that has ended; those that live are tested for real."""

    exec_id = "1"
    pid = None

    def fileno(self) -> int:
        raise AssertionError("nobody waits for what has ended")

    def read(self) -> bytes:
        return b""

    def write(self, data: bytes) -> int:
        return len(data)

    def close(self) -> None:
        """Nothing to give back."""


@dataclass
class FakeEngine:
    """Docker in memory; `failures` maps a method, or `*`, to the way in which it fails.

    `stream` as a method is what streams do once they are established.
    """

    images: set[str] = field(default_factory=lambda: {IMAGE})
    containers: dict[str, FakeContainer] = field(default_factory=dict)
    used: dict[str, RunCounters] = field(default_factory=dict)
    registry: set[str] = field(default_factory=lambda: {IMAGE})
    """Images that can be pulled."""
    image_ids: dict[str, str] = field(default_factory=dict)
    """Ids of images that have one of their own."""
    during_pull: Callable[[Callable[[PullProgress], None]], None] | None = None
    """What happens in each pull, given its progress."""
    during_remove: Callable[[], object] = lambda: None
    """What happens in each removal of a container."""
    during_exec: Callable[[], object] = lambda: None
    """What happens in each exec."""
    during_walk: Callable[[], object] = lambda: None
    """What happens while it walks through the files of all volumes."""
    after_exec: Callable[[], object] = lambda: None
    """What happens once it has answered."""
    outputs: dict[str, bytes] = field(default_factory=dict)
    """First word of a command -> what it prints."""
    commands: list[list[str]] = field(default_factory=list)
    """What was executed in containers."""
    endings: list[bytes] = field(default_factory=list)
    """What is said when processes were to be ended, one time after the other; then: they have."""
    host_processes: list[HostProcess] = field(default_factory=list)
    """What the engine's host sees of every container."""
    limits: list[int] = field(default_factory=list)
    """Numbers of processes that containers were allowed."""
    files: dict[str, bytes] = field(default_factory=dict)
    """What was written into containers, by path."""
    exit_codes: dict[str, int] = field(default_factory=dict)
    """A word of a command -> the code that it ends with."""
    execs: dict[str, ExecState] = field(default_factory=dict)
    """Id of a command with a tty -> what has become of it."""
    volumes: dict[str, dict[str, str]] = field(default_factory=dict)
    """Name -> labels."""
    event_queue: list[ContainerEvent] = field(default_factory=list)
    log_lines: dict[str, list[LogLine]] = field(default_factory=dict)
    """Id of a container -> what it printed."""
    failures: dict[str, Failure] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    disks: dict[str, DiskUse | None] = field(default_factory=dict)
    picks: list[int] = field(default_factory=list)
    """First host port that is picked at each start to come; FIRST_FREE_PORT after that."""
    ends_with: int | None = None
    """Exit code with which each container ends right after its start."""
    started: threading.Event = field(default_factory=threading.Event)
    """Set when a start was asked for."""
    gate: threading.Event | None = None
    """What a start waits for."""
    clock_ahead: timedelta = timedelta(0)
    """By how much its host's clock is ahead."""

    def ping(self, timeout: float | None = None) -> None:
        return self._call("ping", lambda: None)

    def verify(self, timeout: float) -> None:
        return self._call("verify", lambda: None)

    def clock(self, timeout: float) -> datetime:
        return self._call("clock", lambda: datetime.now(UTC) + self.clock_ahead)

    def list_containers(self, *, environment_label_only: bool = True) -> list[ContainerSummary]:
        return self._call("list_containers", lambda: [*map(_summary, self.containers.items())])

    def inspect(self, container: str) -> ContainerState:
        return self._call("inspect", lambda: self._state(container))

    def inspect_image(self, image: str) -> str:
        return self._call("inspect_image", lambda: self._image(image))

    def pull(
        self,
        image: str,
        progress: Callable[[PullProgress], None] | None = None,
        cut: Cut | None = None,
    ) -> None:
        def work() -> None:
            if image not in self.registry:
                raise ImagePullError(image)
            if self.during_pull is not None:
                self.during_pull(progress or (lambda _progress: None))
            if cut is not None and cut.done:
                raise PullCutError
            self.images.add(image)

        self._call("pull", work)
        if progress is not None:
            progress(PullProgress((LayerProgress("1", "Pull complete", 10, 10),), 10, 10))

    def create(self, spec: ContainerSpec) -> str:
        def work() -> str:
            self._image(spec.image)
            if spec.volume is not None:
                self.volumes.setdefault(spec.volume.name, _labels(spec))
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

    def kill(self, container: str, signal: str = "SIGKILL") -> None:
        def work() -> None:
            self._require(self._get(container).up)
            self._end(container, 137)

        self._call("kill", work)

    def pause(self, container: str) -> None:
        self._call("pause", lambda: self._change(container, "running", "paused"))

    def unpause(self, container: str) -> None:
        self._call("unpause", lambda: self._change(container, "paused", "running"))

    def update(self, container: str, *, cpu_limit: float, memory_limit_mb: int) -> None:
        def work() -> None:
            found = self._get(container)
            found.spec = replace(found.spec, cpu_limit=cpu_limit, memory_limit_mb=memory_limit_mb)

        self._call("update", work)

    def limit_processes(self, container: str, number: int) -> None:
        self._call("limit_processes", lambda: self.limits.append(number))

    def processes(self, container: str) -> list[HostProcess]:
        return self._call("processes", lambda: list(self.host_processes))

    def stats(self, container: str) -> ContainerStats:
        def work() -> ContainerStats:
            found = self._get(container)
            self._require(found.up)
            limit = found.spec.memory_limit_mb * 2**20
            return ContainerStats(50.0, 1.5, limit // 2, limit, 1, 2, 3, 4, 5, FIRST_START)

        return self._call("stats", work)

    def counters(self, container: str) -> RunCounters:
        def work() -> RunCounters:
            found = self._get(container)
            self._require(found.up)
            return self.used.get(self._named(container) or "", NOTHING_USED)

        return self._call("counters", work)

    def logs(
        self, container: str, *, since_ns: int | None = None, follow: bool = False
    ) -> FakeStream[LogLine]:
        def work() -> FakeStream[LogLine]:
            self._get(container)
            lines = self.log_lines.setdefault(self._named(container) or "", [])
            return FakeStream(
                Since(lines, since_ns, lambda line: line.at_ns),
                lambda: not (follow and self._is_up(container)),
                lambda: self._fail("stream"),
            )

        return self._call("logs", work)

    def events(self, since_ns: int | None = None) -> FakeStream[ContainerEvent]:
        """Without `since_ns` too it gives what is in the queue: a test may fill it first."""

        def work() -> FakeStream[ContainerEvent]:
            return FakeStream(
                Since(self.event_queue, since_ns, lambda event: event.at_ns),
                lambda: False,
                lambda: self._fail("stream"),
            )

        return self._call("events", work)

    def volume_create(self, name: str, labels: Mapping[str, str]) -> None:
        def work() -> None:
            self.volumes.setdefault(name, dict(labels))

        self._call("volume_create", work)

    def volume_remove(self, name: str) -> None:
        def work() -> None:
            mounts = [container.spec.volume for container in self.containers.values()]
            self._require(name not in [mount.name for mount in mounts if mount])
            self.volumes.pop(name, None)

        self._call("volume_remove", work)

    def disk_usage(self) -> dict[str, DiskUse | None]:
        def work() -> dict[str, DiskUse | None]:
            self.during_walk()
            return dict(self.disks)

        return self._call("disk_usage", work)

    def list_volumes(self) -> list[VolumeSummary]:
        def work() -> list[VolumeSummary]:
            return [
                VolumeSummary(name, labels[ENVIRONMENT_LABEL], labels.get(INSTANCE_LABEL))
                for name, labels in self.volumes.items()
                if ENVIRONMENT_LABEL in labels
            ]

        return self._call("list_volumes", work)

    def remove(self, container: str) -> None:
        def work() -> None:
            self.during_remove()
            found = self._named(container)
            if found is not None:
                del self.containers[found]

        self._call("remove", work)

    def exec(
        self, container: str, argv: Sequence[str], *, timeout: float | None = None
    ) -> ExecResult:
        def work() -> ExecResult:
            self.during_exec()
            self.commands.append(list(argv))
            known = self.containers.get(container)
            self._require(known is None or known.status not in ("exited", "paused"))
            if list(argv[:3]) == ["sh", "-c", ENDING_SCRIPT]:
                return ExecResult(0, self.endings.pop(0) if self.endings else ENDED, b"")
            if "kill-session" in argv:
                self.outputs.pop(argv[0], None)
            code = next((self.exit_codes[word] for word in argv if word in self.exit_codes), 0)
            return ExecResult(code, self.outputs.get(argv[0], b""), b"")

        result = self._call("exec", work)
        self.after_exec()
        return result

    def put_file(self, container: str, path: str, content: bytes, owner: tuple[int, int]) -> None:
        self._call("put_file", lambda: self.files.update({path: content}))

    def terminal(
        self,
        container: str,
        argv: Sequence[str],
        *,
        cols: int,
        rows: int,
        env: Mapping[str, str] | None = None,
    ) -> TerminalStream:
        def work() -> TerminalStream:
            self._require(self._get(container).up)
            self.execs["1"] = ExecState(False, 0)
            return EndedTerminal()

        return self._call("terminal", work)

    def resize_terminal(self, exec_id: str, *, cols: int, rows: int) -> None:
        self._call("resize_terminal", lambda: None)

    def inspect_exec(self, exec_id: str) -> ExecState:
        def work() -> ExecState:
            if exec_id not in self.execs:
                raise ContainerNotFoundError
            return self.execs[exec_id]

        return self._call("inspect_exec", work)

    def close(self) -> None:
        """Nothing to give back."""

    def only(self) -> FakeContainer:
        """Return the one container there is."""
        (container,) = self.containers.values()
        return container

    def _fail(self, method: str) -> None:
        if method in self.failures:
            raise _ERRORS[self.failures[method]]()

    def _call(self, method: str, work: Callable[[], T]) -> T:
        self.calls.append(method)
        own = self.failures.get(method)
        failure = own or self.failures.get("*")
        if failure is None:
            return work()
        if failure in _CARRIED_OUT:
            work()
        if method == "exec" and own in (Failure.LATE, Failure.TIMED_OUT):
            raise CommandTimeoutError  # all else of the engine answers
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

    @staticmethod
    def _require(allowed: bool) -> None:
        if not allowed:
            raise EngineConflictError

    def _is_up(self, name: str) -> bool:
        found = self._named(name)
        return found is not None and self.containers[found].up

    def _change(self, name: str, before: str, after: str) -> None:
        container = self._get(name)
        self._require(container.status == before)
        container.status = after

    def _image(self, image: str) -> str:
        if image not in self.images:
            raise ImageMissingError(image)
        return self.image_ids.get(image, f"sha256:{image}")

    def _launch(self, name: str) -> None:
        container = self._get(name)
        container.status, container.exit_code = "running", None
        container.runs += 1
        container.first_picked = self.picks.pop(0) if self.picks else FIRST_FREE_PORT
        if self.ends_with is not None:
            self._end(name, self.ends_with)

    def _end(self, name: str, exit_code: int) -> None:
        container = self._get(name)
        container.status, container.exit_code = "exited", exit_code

    def _state(self, name: str) -> ContainerState:
        container = self._get(name)
        up, started_at = container.up, container.started_at
        return ContainerState(
            id=self._named(name) or "",
            status=container.status,
            running=up,
            paused=container.status == "paused",
            exit_code=container.exit_code,
            oom_killed=container.oom_killed,
            error="",
            started_at=started_at,
            ports=tuple(_published(container.spec.ports, container.first_picked)) if up else (),
            started=started_at.isoformat() if started_at else "",
            finished_at=None if up else started_at,
            environment_id=container.spec.environment_id,
            instance=container.spec.instance or None,
            name=container.spec.name,
            image=container.spec.image,
            pids_limit=container.spec.pids_limit,
        )


def _summary(entry: tuple[str, FakeContainer]) -> ContainerSummary:
    identity, container = entry
    spec = container.spec
    return ContainerSummary(
        identity, spec.name, spec.environment_id, spec.instance or None, container.status
    )


def _labels(spec: ContainerSpec) -> dict[str, str]:
    instance = {INSTANCE_LABEL: spec.instance} if spec.instance else {}
    return {ENVIRONMENT_LABEL: spec.environment_id, **instance}


def _published(ports: Sequence[PortBinding], picked: int) -> list[PortBinding]:
    return [
        PortBinding(port.container_port, port.host_port or picked + index, port.protocol)
        for index, port in enumerate(ports)
    ]
