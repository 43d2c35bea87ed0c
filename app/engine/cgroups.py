"""What a run has used, read from the kernel's own files where the engine is on this host.

That costs the engine nothing, and some microseconds here. The files are found by the first process
of the container: its control group has the container's id in its path, which nothing but a process
of that container on this very host has. Both versions of control groups are read, and hosts that
mix them. Each run has directories of its own, which the kernel numbers anew, and which stay for
some milliseconds after its last process: so the use of a run that has just ended can still be read,
but for its network, which goes with the process.
"""

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from app.engine.values import RunCounters

_PROC = Path("/proc")
# What a limit of "none" reads as in version 1: the largest number of whole pages.
_UNLIMITED = 2**60
_LOOPBACK = "lo"
_UP = "/.."


class RunOverError(Exception):
    """The run has ended, and its control group with it."""


class _Mount(NamedTuple):
    """A hierarchy: which group of it is mounted, and where."""

    root: str
    place: Path


@dataclass(frozen=True)
class GroupFiles:
    """The directories of one run's control groups.

    Attributes: container_id; pid (of its first process); born (when the kernel says that began,
    which tells it from a later process of the same number); groups (directory by controller of
    version 1; under "" that of version 2); numbers (the kernel's, of these directories).
    """

    container_id: str
    pid: int
    born: str
    groups: Mapping[str, Path]
    numbers: Mapping[str, int]

    def read(self, network: int | None = None) -> RunCounters:
        """Return what the run has used.

        Args:
            network: A descriptor of its `net/dev`, from while it lived; None: opened anew.

        Raises: RunOverError.
        """
        try:
            counters = self._read(network)
            # Where the directories are still the same, all of it is of this run.
            same = numbers_of(self.groups) == self.numbers
        except (OSError, ValueError, KeyError, IndexError) as error:
            raise RunOverError from error
        if not same:
            raise RunOverError
        return counters

    def open_cpu(self) -> int:
        """Return a descriptor of the file with the CPU time; see `cpu_time`. Raises: OSError."""
        if (group := self.groups.get("cpuacct")) is not None:
            return os.open(group / "cpuacct.usage", os.O_RDONLY)
        return os.open(self.groups[""] / "cpu.stat", os.O_RDONLY)

    @property
    def is_alive(self) -> bool:
        """Whether the first process of the run has not ended."""
        return _born(self.pid) == self.born

    def _read(self, network: int | None) -> RunCounters:
        # First what goes with the control group, as soon as Docker notices an end.
        cpu_ns, throttled_ns = self._cpu()
        memory, peak, limit, kills = self._memory()
        read, written = self._blocks()
        received, sent = self._network(network)
        return RunCounters(
            read_at_ns=time.time_ns(),
            cpu_ns=cpu_ns,
            throttled_ns=throttled_ns,
            memory_bytes=memory,
            memory_peak_bytes=peak,
            memory_limit_bytes=0 if limit >= _UNLIMITED else limit,
            oom_kills=kills,
            network_rx_bytes=received,
            network_tx_bytes=sent,
            block_read_bytes=read,
            block_write_bytes=written,
        )

    def _network(self, opened: int | None) -> tuple[int | None, int | None]:
        if opened is not None:
            return network_moved(opened)
        try:
            opened = open_network(self.pid)
        except OSError:
            return None, None
        try:
            told = network_moved(opened)
        finally:
            os.close(opened)
        return told if self.is_alive else (None, None)

    def _cpu(self) -> tuple[int, int]:
        if (group := self.groups.get("cpuacct")) is not None:
            limiting = _pairs(self.groups["cpu"] / "cpu.stat")
            return _number(group / "cpuacct.usage"), limiting.get("throttled_time", 0)
        both = _pairs(self.groups[""] / "cpu.stat")
        return both["usage_usec"] * 1000, both.get("throttled_usec", 0) * 1000

    def _memory(self) -> tuple[int, int | None, int, int | None]:
        """Return use, peak, limit and kills for want of memory."""
        if (group := self.groups.get("memory")) is not None:
            used = _number(group / "memory.usage_in_bytes")
            inactive = _pairs(group / "memory.stat").get("total_inactive_file", 0)
            peak: int | None = _number(group / "memory.max_usage_in_bytes")
            limit = _number(group / "memory.limit_in_bytes")
            kills = _pairs(group / "memory.oom_control").get("oom_kill")
        else:
            group = self.groups[""]
            used = _number(group / "memory.current")
            inactive = _pairs(group / "memory.stat").get("inactive_file", 0)
            # Linux 5.19 and later.
            peak = _number(group / "memory.peak") if (group / "memory.peak").exists() else None
            limit = _number(group / "memory.max")
            kills = _pairs(group / "memory.events").get("oom_kill")
        return used - inactive if inactive < used else used, peak, limit, kills

    def _blocks(self) -> tuple[int, int]:
        if (group := self.groups.get("blkio")) is not None:
            return _blocks_of_version_1(group)
        return _blocks_of_version_2(self.groups[""] / "io.stat")


def group_files(container_id: str, pid: int, proc: Path = _PROC) -> GroupFiles | None:
    """Return where a run's use can be read on this host; None where that cannot be done here.

    Args:
        container_id: Docker's whole id.
        pid: The container's first process, in the numbers of the engine's host.
        proc: Where the kernel tells of processes.
    """
    try:
        born = _born(pid, proc)
        mounts = _mounts((proc / "self/mountinfo").read_text())
        groups = {}
        for line in (proc / str(pid) / "cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            own = _own_group(path, container_id)
            for controller in controllers.split(","):
                if own and (group := _directory(mounts.get(controller, []), own)):
                    groups[controller] = group
        found = GroupFiles(container_id, pid, born, groups, numbers_of(groups))
        found.read()
        # The paths were those of the process, if it has lived until now.
        if not born or _born(pid, proc) != born:
            return None
    except (OSError, ValueError, IndexError, RunOverError):
        return None
    return found


def numbers_of(groups: Mapping[str, Path]) -> dict[str, int]:
    """Return the kernel's numbers of directories. Raises: OSError."""
    return {controller: group.stat().st_ino for controller, group in groups.items()}


def _born(pid: int, proc: Path = _PROC) -> str:
    try:
        text = (proc / str(pid) / "stat").read_text()
    except OSError:
        return ""
    # The name in parentheses may have spaces and parentheses of its own; behind it the 20th is it.
    fields = text.rpartition(")")[2].split()
    # A zombie has ended, and waits for nothing but its parent.
    return "" if fields[0] in "ZX" else fields[19]


def _mounts(text: str) -> dict[str, list[_Mount]]:
    """Return where each hierarchy is mounted, by controller; "" is that of version 2."""
    found: dict[str, list[_Mount]] = {}
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        root, place = before.split()[3:5]
        kind, _, options = after.split(" ", 2)
        names = {"cgroup2": [""], "cgroup": options.split(",")}.get(kind, [])
        for name in names:
            found.setdefault(name, []).append(_Mount(root, Path(place)))
    return found


def _own_group(path: str, container_id: str) -> str:
    """Return the part of a process's path that is the container's own group; empty if it is not in.

    The first process may have moved below it, as an init system does: what it is in then has a part
    of what the container uses.
    """
    above, named, rest = path.partition(container_id)
    return above + named + rest.partition("/")[0] if named else ""


def _directory(mounts: Iterable[_Mount], path: str) -> Path | None:
    """Return where a group is found that has the id of a container in its name."""
    found = (directory for mount in mounts for directory in _places(mount, path))
    return next((directory for directory in found if directory.is_dir()), None)


def _places(mount: _Mount, path: str) -> Iterator[Path]:
    """Yield where the group may be, below one mount.

    Seen from a container with a namespace of its own for groups, paths begin with as many `..` as
    lead out of it, and the names of what is above are not told: but the end is one of its kind.
    """
    outside = f"{_UP}/"
    if not (path.startswith(outside) or mount.root.startswith(_UP)):
        inside = path if mount.root == "/" else path.removeprefix(mount.root)
        yield mount.place / inside.lstrip("/")
        return
    while path.startswith(outside):
        path = path.removeprefix(_UP)
    for above in ("", "*/", "*/*/"):
        yield from mount.place.glob(above + path.lstrip("/"))


def _number(path: Path) -> int:
    text = path.read_text().strip()
    return _UNLIMITED if text == "max" else int(text)


def _pairs(path: Path) -> dict[str, int]:
    """Return a file of lines of a name and a number."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {line[0]: int(line[1]) for line in lines if len(line) == 2}


def open_network(pid: int) -> int:
    """Return a descriptor that tells of the network namespace of a process, also after its end.

    Raises: OSError.
    """
    return os.open(_PROC / str(pid) / "net/dev", os.O_RDONLY)


def network_moved(descriptor: int) -> tuple[int | None, int | None]:
    """Return what was received and sent, by a descriptor of `open_network`; None: not told."""
    received = sent = 0
    try:
        with open(descriptor, closefd=False) as file:
            file.seek(0)
            lines = file.read().splitlines()[2:]
        for line in lines:
            name, _, numbers = line.partition(":")
            if name.strip() != _LOOPBACK:
                columns = numbers.split()
                received += int(columns[0])
                sent += int(columns[8])
    except (OSError, ValueError, IndexError):
        return None, None
    return received, sent


def cpu_time(descriptor: int) -> int:
    """Return the nanoseconds that a run has used, by a descriptor of `GroupFiles.open_cpu`.

    One call of the kernel, and never of another run. Raises: RunOverError.
    """
    try:
        words = os.pread(descriptor, 4096, 0).split()
        return int(words[0]) if len(words) == 1 else int(words[1]) * 1000
    except (OSError, ValueError, IndexError) as error:
        raise RunOverError from error


def _blocks_of_version_1(group: Path) -> tuple[int, int]:
    read = written = 0
    for line in (group / "blkio.throttle.io_service_bytes_recursive").read_text().splitlines():
        words = line.split()
        if len(words) == 3 and words[1] == "Read":
            read += int(words[2])
        elif len(words) == 3 and words[1] == "Write":
            written += int(words[2])
    return read, written


def _blocks_of_version_2(path: Path) -> tuple[int, int]:
    read = written = 0
    for line in path.read_text().splitlines():
        fields = dict(word.split("=", 1) for word in line.split()[1:])
        read += int(fields.get("rbytes", 0))
        written += int(fields.get("wbytes", 0))
    return read, written
