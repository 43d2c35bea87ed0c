"""Limits of control groups, of both versions, as hosts and containers see them."""

from pathlib import Path

import pytest

from app.telemetry.runtime import limits
from app.telemetry.runtime.limits import LimitReadings, cpu_cores, memory_bytes
from tests.unit.support import read

GIB = 1 << 30
HOST = 8 * GIB
UNLIMITED_V1 = "9223372036854771712"
V1_MOUNTS = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 {root} /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 {root} /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
"""
V2_MOUNTS = "30 23 0:26 {root} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host with 8 GiB and no control groups."""
    write(tmp_path / "proc/meminfo", f"MemTotal: {HOST // 1024} kB\nMemFree: 1 kB\n")
    return tmp_path


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def version_1(host: Path, path: str = "/", root: str = "/") -> Path:
    write(host / "proc/self/cgroup", f"4:memory:{path}\n1:cpu,cpuacct:{path}\n0::/elsewhere\n")
    write(host / "proc/self/mountinfo", V1_MOUNTS.format(root=root))
    return host / "sys/fs/cgroup"


def version_2(host: Path, path: str = "/", root: str = "/") -> Path:
    write(host / "proc/self/cgroup", f"0::{path}\n")
    write(host / "proc/self/mountinfo", V2_MOUNTS.format(root=root))
    return host / "sys/fs/cgroup"


def test_without_groups_the_host_counts(host: Path) -> None:
    assert memory_bytes(host) == HOST
    assert cpu_cores(host, host=4) == 4


def test_version_1_limits(host: Path) -> None:
    groups = version_1(host, "/service")
    write(groups / "memory/service/memory.limit_in_bytes", f"{GIB}\n")
    write(groups / "cpu,cpuacct/service/cpu.cfs_quota_us", "150000\n")
    write(groups / "cpu,cpuacct/service/cpu.cfs_period_us", "100000\n")

    assert memory_bytes(host) == GIB
    assert cpu_cores(host, host=4) == 1.5


def test_version_1_unlimited(host: Path) -> None:
    groups = version_1(host)
    write(groups / "memory/memory.limit_in_bytes", UNLIMITED_V1)
    write(groups / "cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
    write(groups / "cpu,cpuacct/cpu.cfs_period_us", "100000\n")

    assert memory_bytes(host) == HOST
    assert cpu_cores(host, host=4) == 4


def test_version_2_limits(host: Path) -> None:
    groups = version_2(host, "/a/b")
    write(groups / "a/b/memory.max", "1048576\n")
    write(groups / "a/b/cpu.max", "50000 100000\n")

    assert memory_bytes(host) == 1 << 20
    assert cpu_cores(host, host=4) == 0.5


def test_version_2_unlimited(host: Path) -> None:
    groups = version_2(host)
    write(groups / "memory.max", "max\n")
    write(groups / "cpu.max", "max 100000\n")

    assert memory_bytes(host) == HOST
    assert cpu_cores(host, host=4) == 4


def test_limit_of_an_ancestor_holds(host: Path) -> None:
    groups = version_2(host, "/slice/service")
    write(groups / "slice/memory.max", str(GIB))
    write(groups / "slice/service/memory.max", str(2 * GIB))
    write(groups / "slice/service/cpu.max", "300000 100000")
    write(groups / "slice/cpu.max", "200000 100000")

    assert memory_bytes(host) == GIB
    assert cpu_cores(host, host=4) == 2


@pytest.mark.parametrize("make", [version_1, version_2])
def test_container_whose_mount_shows_its_own_group_as_the_root(host: Path, make: object) -> None:
    assert callable(make)
    groups = make(host, "/docker/abc", "/docker/abc")
    name = "memory/memory.limit_in_bytes" if make is version_1 else "memory.max"
    write(groups / name, str(GIB))

    assert memory_bytes(host) == GIB


def test_group_that_is_not_to_be_seen_falls_back_to_the_mount(host: Path) -> None:
    groups = version_1(host, "/docker/abc")
    write(groups / "memory/memory.limit_in_bytes", str(GIB))

    assert memory_bytes(host) == GIB


def test_more_than_the_host_has_is_no_limit(host: Path) -> None:
    groups = version_2(host)
    write(groups / "memory.max", str(64 * GIB))
    write(groups / "cpu.max", "6400000 100000")

    assert memory_bytes(host) == HOST
    assert cpu_cores(host, host=4) == 4


def test_this_machine() -> None:
    assert 0 < memory_bytes() <= limits._host_memory(Path("/"))
    assert 0 < cpu_cores()


def test_published_by_role(host: Path) -> None:
    LimitReadings("agent", host).publish()

    assert read("vibebox_memory_limit_bytes")[("agent",)] == HOST
    assert read("vibebox_cpu_limit_cores")[("agent",)] > 0
