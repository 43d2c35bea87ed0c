"""The values of a process: exact under threads, forks, growth and a full disk."""

import errno
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from app.telemetry import values
from app.telemetry.values import Store, Value

LABELS = ("kind",)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store of its own that shares `tmp_path`."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    store = Store()
    monkeypatch.setattr(values, "store", store)
    yield store
    store.leave()


def value(kind: str = "a", typ: str = "counter", mode: str = "") -> Value:
    return Value(typ, "events", "events_total", LABELS, (kind,), "Events.", mode)


def stored(directory: Path, prefix: str = "counter") -> dict[str, float]:
    """Read the files as the stock client does."""
    return {
        key: number
        for file in directory.glob(f"{prefix}_*.db")
        for key, number, _, _ in MmapedDict.read_all_values_from_file(str(file))
    }


def key(kind: str) -> str:
    return mmap_key("events", "events_total", list(LABELS), [kind], "Events.")


def test_stock_client_reads_what_was_counted(store: Store, tmp_path: Path) -> None:
    counter = value()
    counter.inc(1)
    counter.inc(2.5)

    assert counter.get() == 3.5
    assert stored(tmp_path) == {key("a"): 3.5}


def test_gauge_keeps_value_and_timestamp(store: Store, tmp_path: Path) -> None:
    gauge = value(typ="gauge", mode="mostrecent")
    gauge.set(7, timestamp=123.5)

    (file,) = tmp_path.glob("gauge_mostrecent_*.db")
    ((_, number, timestamp, _),) = MmapedDict.read_all_values_from_file(str(file))
    assert (number, timestamp) == (7, 123.5)


def test_file_name_is_no_pid_and_has_two_parts(store: Store, tmp_path: Path) -> None:
    value()
    (file,) = tmp_path.glob("counter_*.db")
    kind, member = file.stem.split("_")
    assert (kind, member == str(os.getpid())) == ("counter", False)


def test_values_outlive_the_growth_of_the_file(store: Store, tmp_path: Path) -> None:
    first = value("first")
    first.inc(1)
    many = [value(f"{number:0200d}") for number in range(1000)]  # 270 kB
    for one in many:
        one.inc(2)
    first.inc(1)

    read = stored(tmp_path)
    assert read[key("first")] == 2
    assert len(read) == 1001
    assert sum(read.values()) == 2 + 2 * 1000


def test_threads_lose_no_increment(store: Store, tmp_path: Path) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    shared = [value(str(number)) for number in range(3)]

    def count() -> None:
        for number in range(3000):
            shared[number % 3].inc(1)
            if number % 500 == 0:
                value(f"{threading.get_ident()}-{number:0300d}")  # makes the file grow meanwhile

    try:
        threads = [threading.Thread(target=count) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)

    assert [one.get() for one in shared] == [16000.0] * 3
    assert sum(stored(tmp_path).values()) == 48000


@pytest.mark.integration
def test_child_counts_in_a_file_of_its_own(store: Store, tmp_path: Path) -> None:
    counter = value()
    counter.inc(5)
    child = os.fork()
    if child == 0:
        store.after_fork()
        counter.inc(2)
        os._exit(0)
    os.waitpid(child, 0)
    counter.inc(1)

    read = [
        number
        for file in tmp_path.glob("counter_*.db")
        for found, number, _, _ in MmapedDict.read_all_values_from_file(str(file))
        if found == key("a")  # the child also has the values of this test process
    ]
    assert sorted(read) == [2, 6]


def test_full_disk_makes_telemetry_quiet_and_fails_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    counter = value()
    counter.inc(3)

    def full(_descriptor: int, _offset: int, _size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    gauge = value(typ="gauge", mode="livesum")
    late = value("late")
    for one in (counter, gauge, late):
        one.inc(1)

    assert not store.shared
    assert [record.message for record in caplog.records] == [
        "telemetry goes quiet: the metrics directory fails"
    ]
    assert stored(tmp_path) == {key("a"): 3}  # what was counted before stays


def test_missing_directory_makes_telemetry_quiet(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "gone"))

    counter = value()
    counter.inc(1)

    assert counter.get() == 1
    assert not store.shared


def test_without_a_directory_values_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    store = Store()
    monkeypatch.setattr(values, "store", store)

    counter = value()
    counter.inc(4)
    many = [value(f"{number:0200d}") for number in range(1000)]

    assert (counter.get(), len(many)) == (4, 1000)
    assert not store.shared
