"""What the control groups allow this process, of version 1 or 2, or what the host has.

A limit holds for a whole subtree, so the least of a group's own and its ancestors' counts. Groups
can be hidden from a container: its mount then shows its own group as the root.
"""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from prefork_metrics.registry import Registry

HOST = Path("/")
_KIB = 1024
_told: set[Path] = set()
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Mount:
    root: str
    point: str
    version: int
    controllers: frozenset[str]


class Memory(NamedTuple):
    """A limit in bytes, and what is used of it by all whom it holds for."""

    limit: int
    used: int


class LimitReadings:
    """Publishes the limits of this process under its role."""

    def __init__(self, registry: Registry, role: str, root: Path = HOST) -> None:
        families = registry.process
        self._memory = families.memory_limit.child(role)
        self._used = families.memory_usage.child(role)
        self._cores = families.cpu_limit.child(role)
        self._root = root

    def publish(self) -> None:
        """Read and set; limits can change while a container runs."""
        found = memory(self._root)
        self._memory.set(found.limit)
        self._used.set(found.used)
        self._cores.set(cpu_cores(self._root))


def memory(root: Path = HOST) -> Memory:
    """Return the least limit, at most the host's memory, and what is used of it; `root` is where
    / is."""
    found = [_host_memory(root)]
    for group, version in _groups(root, "memory"):
        name = "memory.limit_in_bytes" if version == 1 else "memory.max"
        text = _read(group / name)
        # Without a limit version 2 says max, and version 1 a number that no host has.
        if text.isdigit() and int(text) < found[0].limit:
            found.append(Memory(int(text), _working_set(group, version)))
    # Of groups with one limit the outermost holds what the others do.
    return min(found, key=lambda memory: (memory.limit, -memory.used))


def _working_set(group: Path, version: int) -> int:
    """Return what all processes of the group use, without pages of files that nobody needs now.

    The kernel takes those back before it kills anybody for memory.
    """
    used = _read(group / ("memory.usage_in_bytes" if version == 1 else "memory.current"))
    name = "total_inactive_file" if version == 1 else "inactive_file"
    inactive = next(
        (
            line.split()[1]
            for line in _read(group / "memory.stat").splitlines()
            if line.startswith(f"{name} ")
        ),
        "0",
    )
    return max(0, int(used) - int(inactive))


def cpu_cores(root: Path = HOST, host: int | None = None) -> float:
    """Return the least CPU quota in cores, at most those that this process may run on."""
    found = [float(host or len(os.sched_getaffinity(0)))]
    for group, version in _groups(root, "cpu"):
        if version == 1:
            quota, period = _read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us")
        else:
            quota, _, period = _read(group / "cpu.max").partition(" ")
        # Without a quota version 1 says -1 and version 2 max.
        if quota.isdigit() and period.isdigit() and int(period) > 0:
            found.append(int(quota) / int(period))
    return min(found)


def _groups(root: Path, controller: str) -> Iterator[tuple[Path, int]]:
    """Yield the directories of this process's group and its ancestors, with the version."""
    mounts = list(_mounts(root))
    for version, controllers, path in _memberships(root):
        if version == 1 and controller not in controllers:
            continue
        for mount in mounts:
            if mount.version == version and (version == 2 or controller in mount.controllers):
                yield from ((group, version) for group in _ancestry(root, mount, path))


def _ancestry(root: Path, mount: _Mount, path: str) -> Iterator[Path]:
    top = root / mount.point.lstrip("/")
    inside = path.removeprefix(mount.root) if mount.root != "/" else path
    group = top / inside.lstrip("/")
    if not group.is_dir():
        group = top
    yield group
    while group != top:
        group = group.parent
        yield group


def _memberships(root: Path) -> Iterator[tuple[int, list[str], str]]:
    """Yield version, controllers and path of each line of /proc/self/cgroup."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        yield (1, controllers.split(","), path) if controllers else (2, [], path)


def _mounts(root: Path) -> Iterator[_Mount]:
    for line in _read(root / "proc/self/mountinfo").splitlines():
        place, _, kind = line.partition(" - ")
        fields, (type_, _, options) = place.split(), kind.split(" ", 2)
        if type_ in ("cgroup", "cgroup2"):
            version = 1 if type_ == "cgroup" else 2
            yield _Mount(fields[3], fields[4], version, frozenset(options.split(",")))


def _host_memory(root: Path) -> Memory:
    fields = {
        name: int(rest.split()[0]) * _KIB
        for name, _, rest in (
            line.partition(":") for line in (root / "proc/meminfo").read_text().splitlines()
        )
        if name in ("MemTotal", "MemAvailable")
    }
    return Memory(fields["MemTotal"], fields["MemTotal"] - fields["MemAvailable"])


def _read(file: Path) -> str:
    """Return the text of a file, or nothing: not every group has every file."""
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        # A limit that cannot be read is not none: whoever wonders at the host's finds why.
        if file not in _told:
            _told.add(file)
            _log.warning(
                "limit not read", extra={"file": str(file), "why": error.strerror or str(error)}
            )
        return ""
