"""What this process uses, read from /proc.

CPU is published as what was added since the last reading: the counter in a dead process's file
keeps its sum, and the next process in the slot adds to it. The gauges are those of the process
that wrote last, so a slot that is used again shows the new one.
"""

import errno
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

from prefork_metrics.registry import Registry
from prefork_metrics.standard.process import CPU_MODES

PROC = Path("/proc")
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_KIB = 1024


@dataclass(frozen=True)
class Stat:
    """Of /proc/self/stat: seconds of CPU, threads, and the start in seconds since boot."""

    user: float
    system: float
    threads: int
    start: float


class ProcessReadings:
    """Publishes the readings of this process under its role and slot."""

    def __init__(self, registry: Registry, role: str, worker: str, proc: Path = PROC) -> None:
        families = registry.process
        self._proc = proc
        self._read = {"user": 0.0, "system": 0.0}
        self._cpu = {mode: families.cpu.child(role, worker, mode) for mode in CPU_MODES}
        self._rss = families.resident_memory.child(role, worker)
        self._pss = families.proportional_memory.child(role, worker)
        self._vms = families.virtual_memory.child(role, worker)
        self._blocks = families.allocated_blocks.child(worker)
        self._open_fds = families.open_fds.child(worker)
        self._max_fds = families.max_fds.child(worker)
        self._threads = families.threads.child(worker)
        # Computed once: the boot's time of day moves when the clock is set.
        families.start_time.child(worker).set(boot_time(proc) + stat(proc).start)

    def publish(self) -> None:
        """Publish what is cheap to read."""
        # First: where no descriptor is left, nothing else can be read.
        self._open_fds.set(open_descriptors(self._proc))
        self._max_fds.set(descriptor_limit())
        now = stat(self._proc)
        for mode, seconds in (("user", now.user), ("system", now.system)):
            self._cpu[mode].inc(max(0.0, seconds - self._read[mode]))
            self._read[mode] = max(seconds, self._read[mode])
        self._threads.set(now.threads)
        virtual, resident = memory_bytes(self._proc)
        self._rss.set(resident)
        self._vms.set(virtual)

    def publish_blocks(self) -> None:
        """Publish the blocks of the allocator: it looks at each pool, some milliseconds in all, and
        meanwhile no other thread of the process runs."""
        self._blocks.set(sys.getallocatedblocks())

    def publish_share(self) -> None:
        """Publish the memory with shared pages counted once; the kernel walks every page."""
        self._pss.set(proportional_bytes(self._proc))


def stat(proc: Path = PROC) -> Stat:
    """Read /proc/self/stat; the name in it may hold spaces and brackets."""
    fields = (proc / "self/stat").read_text().rpartition(")")[2].split()
    # fields[0] is field 3 of proc(5).
    return Stat(
        user=int(fields[11]) / _TICK,
        system=int(fields[12]) / _TICK,
        threads=int(fields[17]),
        start=int(fields[19]) / _TICK,
    )


def boot_time(proc: Path = PROC) -> float:
    """Return when the host started, in seconds since 1970."""
    for line in (proc / "stat").read_text().splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    raise ValueError("/proc/stat has no btime")


def memory_bytes(proc: Path = PROC) -> tuple[int, int]:
    """Return the size of the address space, and of the resident set."""
    virtual, resident = (proc / "self/statm").read_text().split()[:2]
    return int(virtual) * _PAGE, int(resident) * _PAGE


def proportional_bytes(proc: Path = PROC) -> int:
    """Return the proportional set size. Raises: OSError where the kernel does not tell it."""
    for line in (proc / "self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * _KIB
    raise ValueError("/proc/self/smaps_rollup has no Pss")


def open_descriptors(proc: Path = PROC) -> float:
    """Return how many descriptors are open, the one that lists them left out.

    Where none is left to list them with, all that this process may open are open.
    """
    try:
        return len(os.listdir(proc / "self/fd")) - 1
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        return descriptor_limit()


def descriptor_limit() -> float:
    """Return how many descriptors may be open; infinity where there is no limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return float("inf") if soft == resource.RLIM_INFINITY else float(soft)
