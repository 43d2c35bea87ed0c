"""Plain values that the gateway to Docker takes and gives, and the labels that say what is ours.

Nothing here knows the docker SDK, so that services, fakes and telemetry can use it without one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

ENVIRONMENT_LABEL = "vibebox.environment"
"""Label that holds the environment's id; what lacks it is not ours and is left alone."""

INSTANCE_LABEL = "vibebox.instance"
"""Label that holds the id of the VibeBox installation, since several may share one engine.

What lacks the label of our own installation is not ours, whatever its environment.
"""


UNKNOWN = "unknown"
"""The action of an event that could not be read: something has happened to some container."""


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
class VolumeMount:
    """A named volume and the path it is seen at in the container."""

    name: str
    path: str


@dataclass(frozen=True)
class ContainerSpec:
    """What a new container of an environment is made of; `cpu_limit` counts CPUs (0.5 is half).

    An empty `instance` writes no label. The engine makes a `volume` that does not exist. Host ports
    that are not named are picked from `picked_from`, anywhere without that.
    """

    environment_id: str
    name: str
    image: str
    env: Mapping[str, str]
    ports: Sequence[PortBinding]
    cpu_limit: float
    memory_limit_mb: int
    pids_limit: int = 512
    volume: VolumeMount | None = None
    instance: str = ""
    picked_from: tuple[int, int] | None = None


@dataclass(frozen=True)
class ContainerState:
    """A container as the engine sees it now.

    `status` is Docker's word: created, running, paused, restarting, removing, exited or dead.
    `exit_code` is None as long as nothing has ended. `ports` are those of the running container.
    `oom_killed` says that some process of the container was killed for memory, not that this ended
    the container; Docker keeps it beyond the next start. `finished_at` is the end of the last run
    that ended, also while another one runs. `started` is Docker's own text of the start, to the
    nanosecond: the identity of one run, empty for a container that was never started. `pid` is that
    of its first process, in the numbers of the engine's host; None where nothing runs.
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
    started: str = ""
    finished_at: datetime | None = None
    environment_id: str | None = None
    instance: str | None = None
    name: str = ""
    image: str = ""
    pids_limit: int | None = None
    pid: int | None = None


@dataclass(frozen=True)
class ContainerSummary:
    """A container in a list; `status` is Docker's word, as in `ContainerState`."""

    id: str
    name: str
    environment_id: str | None
    instance: str | None
    status: str


@dataclass(frozen=True)
class ContainerEvent:
    """Something that happened to a container, at `at_ns` (nanoseconds since 1970).

    `action` is Docker's word alone: create, start, die, oom, kill, pause, unpause, stop, restart,
    rename, update, destroy, exec_create and so on. What Docker puts behind a colon, such as the
    command line of an exec, stays outside. `exit_code` is that of the container, with `die` only;
    where its image has a label of Docker's name for it, it is what that says.
    """

    action: str
    container: str
    environment_id: str | None
    instance: str | None
    exit_code: int | None
    at_ns: int


@dataclass(frozen=True)
class LogLine:
    """A line that a container printed, without its newline, at `at_ns` as Docker wrote it.

    `partial` when the line goes on in the next record of the same stream: Docker splits lines
    into pieces of 16 KiB, all with the same `at_ns`. What a container printed last without a
    newline looks the same, with nothing to follow in that run.
    """

    stream: Literal["stdout", "stderr"]
    at_ns: int
    text: bytes
    partial: bool


@dataclass(frozen=True)
class LayerProgress:
    """One layer of an image: Docker's word on it, and bytes of its download (0 of 0: unknown)."""

    id: str
    status: str
    current: int
    total: int


@dataclass(frozen=True)
class PullProgress:
    """How far a pull is; the sums are over the layers whose size is known so far."""

    layers: tuple[LayerProgress, ...]
    bytes_done: int
    bytes_total: int


@dataclass(frozen=True)
class ContainerStats:
    """What a running container uses; `cpu_percent` 100 is one core, over about the last second.

    `memory_bytes` leaves inactive page cache out. Bytes and `cpu_seconds` count from the start.
    """

    cpu_percent: float
    cpu_seconds: float
    memory_bytes: int
    memory_limit_bytes: int
    network_rx_bytes: int
    network_tx_bytes: int
    block_read_bytes: int
    block_write_bytes: int
    pids: int
    read_at: datetime


@dataclass(frozen=True)
class RunCounters:
    """What a run of a container has used since its start, and what it holds at `read_at_ns`.

    That is the clock of the engine's host, in nanoseconds since 1970. `memory_bytes` leaves
    inactive page cache out; `memory_peak_bytes` is the kernel's own, cache included, and None where
    it keeps none. `memory_limit_bytes` is 0 without a limit. `oom_kills` and the network are None
    where the source does not tell them.
    """

    read_at_ns: int
    cpu_ns: int
    throttled_ns: int
    memory_bytes: int
    memory_peak_bytes: int | None
    memory_limit_bytes: int
    oom_kills: int | None
    network_rx_bytes: int | None
    network_tx_bytes: int | None
    block_read_bytes: int
    block_write_bytes: int


class DiskUse(NamedTuple):
    """Bytes that an environment holds: in its volume, and in its container's writable layer."""

    volume_bytes: int
    layer_bytes: int


class VolumeSummary(NamedTuple):
    """A named volume in a list."""

    name: str
    environment_id: str | None
    instance: str | None


@dataclass(frozen=True)
class ExecResult:
    """How a command in a container ended; `truncated` when output past the bound was dropped."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    truncated: bool = False


@dataclass(frozen=True)
class ExecState:
    """A command in a container, as the engine sees it now; `exit_code` is None while it runs.

    `pid` is that of its first process, in the numbers of the engine's host.
    """

    running: bool
    exit_code: int | None
    pid: int | None = None


class HostProcess(NamedTuple):
    """A process of a container, in the numbers of the engine's host, and the session it is in."""

    pid: int
    session: int
