"""The kernel's files of a run: those of version 2 as it writes them; version 1 is read for real."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.engine.cgroups import (
    GroupFiles,
    RunOverError,
    _born,
    _mounts,
    _own_group,
    group_files,
)

FILES = {
    "cpu.stat": "usage_usec 1500\nuser_usec 1000\nnr_throttled 2\nthrottled_usec 30\n",
    "memory.current": "1000\n",
    "memory.stat": "anon 600\ninactive_file 300\n",
    "memory.peak": "4000\n",
    "memory.max": "max\n",
    "memory.events": "low 0\noom 2\noom_kill 1\noom_group_kill 0\n",
    "io.stat": "8:0 rbytes=10 wbytes=20 rios=1 wios=1\n8:16 rbytes=1 wbytes=2 rios=1\n7:0 \n",
}


@pytest.fixture
def process() -> Iterator["subprocess.Popen[bytes]"]:
    started = subprocess.Popen(["sleep", "60"])
    yield started
    started.kill()
    started.wait()


def group(directory: Path, pid: int, **changes: str) -> GroupFiles:
    for name, text in {**FILES, **changes}.items():
        (directory / name).write_text(text)
    return GroupFiles("c", pid, _born(pid), {"": directory}, {"": directory.stat().st_ino})


def test_second_version_is_read(tmp_path: Path, process: "subprocess.Popen[bytes]") -> None:
    counters = group(tmp_path, process.pid).read()
    assert (counters.cpu_ns, counters.throttled_ns) == (1_500_000, 30_000)
    assert (counters.memory_bytes, counters.memory_peak_bytes) == (700, 4000)
    assert (counters.memory_limit_bytes, counters.oom_kills) == (0, 1)
    assert (counters.block_read_bytes, counters.block_write_bytes) == (11, 22)


def test_older_kernel_keeps_no_peak(tmp_path: Path, process: "subprocess.Popen[bytes]") -> None:
    files = group(tmp_path, process.pid)
    (tmp_path / "memory.peak").unlink()
    assert files.read().memory_peak_bytes is None


def test_run_whose_process_has_ended_is_read_as_long_as_its_group_is_there(
    tmp_path: Path, process: "subprocess.Popen[bytes]"
) -> None:
    directory = tmp_path / "group"
    directory.mkdir()
    files = group(directory, process.pid)
    assert files.read().network_rx_bytes is not None
    process.kill()
    process.wait()
    last = files.read()
    assert (last.cpu_ns, last.network_rx_bytes, last.network_tx_bytes) == (1_500_000, None, None)
    directory.rename(tmp_path / "gone")
    with pytest.raises(RunOverError):
        files.read()
    directory.mkdir()  # of the next run
    group(directory, process.pid)
    with pytest.raises(RunOverError):
        files.read()


def test_network_of_a_process_of_the_same_number_is_not_taken(
    tmp_path: Path, process: "subprocess.Popen[bytes]"
) -> None:
    files = group(tmp_path, process.pid)
    other = GroupFiles("c", process.pid, "earlier", files.groups, files.numbers)
    assert other.read().network_rx_bytes is None


def test_process_that_is_not_of_the_container_is_not_taken_for_it(
    process: "subprocess.Popen[bytes]",
) -> None:
    assert group_files("f" * 64, process.pid) is None
    assert group_files("f" * 64, 2**22 + 1) is None


def test_hierarchies_are_found_where_they_are_mounted() -> None:
    text = (
        "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
        "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
        "41 31 0:38 /inner /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n"
    )
    found = _mounts(text)
    assert found["cpuacct"] == found["cpu"] == [("/", Path("/sys/fs/cgroup/cpu,cpuacct"))]
    assert found[""] == [("/inner", Path("/sys/fs/cgroup/unified"))]


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/docker/abc", "/docker/abc"),
        ("/docker/abc/init.scope", "/docker/abc"),
        ("/system.slice/docker-abc.scope/a/abc", "/system.slice/docker-abc.scope"),
        ("/user.slice", ""),
    ],
)
def test_group_is_that_of_the_whole_container(path: str, own: str) -> None:
    assert _own_group(path, "abc") == own


@pytest.mark.parametrize(
    ("root", "seen", "place"),
    [
        ("/", "/docker/{}", "docker/{}"),
        ("/..", "/../{}", "{}"),
        ("/../..", "/../docker-{}.scope", "system.slice/docker-{}.scope"),
        ("/../../..", "/../../b/{}/init.scope", "a/b/{}"),
    ],
    ids=["same namespace", "sibling", "systemd", "cousin"],
)
def test_group_is_found_from_a_container_with_the_hosts_processes(
    tmp_path: Path, root: str, seen: str, place: str
) -> None:
    """As from a namespace of its own, in which the names above it are not told."""
    container = "f" * 64
    directory, proc = tmp_path / "mounted" / place.format(container), tmp_path / "proc"
    for made in (directory, proc / "self", proc / "7", tmp_path / "own"):
        made.mkdir(parents=True)
    for name, text in FILES.items():
        (directory / name).write_text(text)
    (proc / "self/mountinfo").write_text(
        f"40 31 0:28 / {tmp_path}/own ro - cgroup2 cgroup ro\n"
        f"41 31 0:28 {root} {tmp_path}/mounted ro - cgroup2 cgroup ro\n"
    )
    (proc / "7/cgroup").write_text(f"0::{seen.format(container)}\n")
    (proc / "7/stat").write_text(f"7 (a b) S {' '.join('1' * 20)}\n")
    found = group_files(container, 7, proc)
    assert found is not None
    assert found.groups == {"": directory}
    assert found.read().cpu_ns == 1_500_000
