"""Limits of control groups, of both versions, as hosts and containers see them."""

from pathlib import Path

import pytest

from prefork_metrics.runtime import limits
from prefork_metrics.runtime.limits import LimitReadings, Memory, cpu_cores, memory
from tests.prefork_metrics.registry import read, registry

GIB = 1 << 30
HOST = 8 * GIB
USES = {"memory.max": "memory.current", "memory.limit_in_bytes": "memory.usage_in_bytes"}
"""A group that has the one has the other."""
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
    write(
        tmp_path / "proc/meminfo",
        f"MemTotal: {HOST // 1024} kB\nMemFree: 1 kB\nMemAvailable: {6 * GIB // 1024} kB\n",
    )
    return tmp_path


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    for limit, used in USES.items():
        if file.name == limit and not (file.parent / used).exists():
            (file.parent / used).write_text("0\n")


def version_1(host: Path, path: str = "/", root: str = "/") -> Path:
    write(host / "proc/self/cgroup", f"4:memory:{path}\n1:cpu,cpuacct:{path}\n0::/elsewhere\n")
    write(host / "proc/self/mountinfo", V1_MOUNTS.format(root=root))
    return host / "sys/fs/cgroup"


def version_2(host: Path, path: str = "/", root: str = "/") -> Path:
    write(host / "proc/self/cgroup", f"0::{path}\n")
    write(host / "proc/self/mountinfo", V2_MOUNTS.format(root=root))
    return host / "sys/fs/cgroup"


def test_without_groups_the_host_counts(host: Path) -> None:
    assert memory(host).limit == HOST
    assert cpu_cores(host, host=4) == 4


def test_version_1_limits(host: Path) -> None:
    groups = version_1(host, "/service")
    write(groups / "memory/service/memory.limit_in_bytes", f"{GIB}\n")
    write(groups / "cpu,cpuacct/service/cpu.cfs_quota_us", "150000\n")
    write(groups / "cpu,cpuacct/service/cpu.cfs_period_us", "100000\n")

    assert memory(host).limit == GIB
    assert cpu_cores(host, host=4) == 1.5


def test_version_1_unlimited(host: Path) -> None:
    groups = version_1(host)
    write(groups / "memory/memory.limit_in_bytes", UNLIMITED_V1)
    write(groups / "cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
    write(groups / "cpu,cpuacct/cpu.cfs_period_us", "100000\n")

    assert memory(host).limit == HOST
    assert cpu_cores(host, host=4) == 4


def test_version_2_limits(host: Path) -> None:
    groups = version_2(host, "/a/b")
    write(groups / "a/b/memory.max", "1048576\n")
    write(groups / "a/b/cpu.max", "50000 100000\n")

    assert memory(host).limit == 1 << 20
    assert cpu_cores(host, host=4) == 0.5


def test_version_2_unlimited(host: Path) -> None:
    groups = version_2(host)
    write(groups / "memory.max", "max\n")
    write(groups / "cpu.max", "max 100000\n")

    assert memory(host).limit == HOST
    assert cpu_cores(host, host=4) == 4


def test_limit_of_an_ancestor_holds(host: Path) -> None:
    groups = version_2(host, "/slice/service")
    write(groups / "slice/memory.max", str(GIB))
    write(groups / "slice/service/memory.max", str(2 * GIB))
    write(groups / "slice/service/cpu.max", "300000 100000")
    write(groups / "slice/cpu.max", "200000 100000")

    assert memory(host).limit == GIB
    assert cpu_cores(host, host=4) == 2


@pytest.mark.parametrize("make", [version_1, version_2])
def test_container_whose_mount_shows_its_own_group_as_the_root(host: Path, make: object) -> None:
    assert callable(make)
    groups = make(host, "/docker/abc", "/docker/abc")
    name = "memory/memory.limit_in_bytes" if make is version_1 else "memory.max"
    write(groups / name, str(GIB))

    assert memory(host).limit == GIB


def test_group_that_is_not_to_be_seen_falls_back_to_the_mount(host: Path) -> None:
    groups = version_1(host, "/docker/abc")
    write(groups / "memory/memory.limit_in_bytes", str(GIB))

    assert memory(host).limit == GIB


def test_more_than_the_host_has_is_no_limit(host: Path) -> None:
    groups = version_2(host)
    write(groups / "memory.max", str(64 * GIB))
    write(groups / "cpu.max", "6400000 100000")

    assert memory(host).limit == HOST
    assert cpu_cores(host, host=4) == 4


def test_this_machine() -> None:
    assert 0 < memory().limit <= limits._host_memory(Path("/")).limit
    assert 0 < cpu_cores()


def test_published_by_role(host: Path) -> None:
    LimitReadings(registry, "agent", host).publish()

    assert read("test_memory_limit_bytes")[("agent",)] == HOST
    assert read("test_cpu_limit_cores")[("agent",)] > 0
    assert read("test_memory_usage_bytes")[("agent",)] == 2 * GIB


def test_use_is_of_the_group_whose_limit_holds(host: Path) -> None:
    """Whoever else is in it: web and agent in one container share a limit."""
    groups = version_2(host, "/slice/service")
    for group, limit, used, inactive in (("slice", 2, 700, 200), ("slice/service", 3, 90, 80)):
        write(groups / group / "memory.max", str(limit * GIB))
        write(groups / group / "memory.current", f"{used}\n")
        write(groups / group / "memory.stat", f"anon 5\ninactive_file {inactive}\nfile 9\n")

    assert memory(host) == Memory(2 * GIB, 500)


def test_use_in_version_1(host: Path) -> None:
    groups = version_1(host, "/service")
    write(groups / "memory/service/memory.limit_in_bytes", f"{GIB}\n")
    write(groups / "memory/service/memory.usage_in_bytes", "1000\n")
    write(groups / "memory/service/memory.stat", "inactive_file 1\ntotal_inactive_file 400\n")

    assert memory(host) == Memory(GIB, 600)


def test_of_equal_limits_the_outermost_counts(host: Path) -> None:
    groups = version_2(host, "/pod/container")
    for group, used in (("pod", 900), ("pod/container", 300)):
        write(groups / group / "memory.max", str(GIB))
        write(groups / group / "memory.current", str(used))

    assert memory(host) == Memory(GIB, 900)


def test_limit_that_cannot_be_read_is_told_once(
    host: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    groups = version_2(host)
    (groups / "memory.max").mkdir(parents=True)  # an error, whoever reads it

    for _ in range(3):
        assert memory(host).limit == HOST
    assert [record.message for record in caplog.records] == ["limit not read"]
