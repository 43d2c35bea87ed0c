"""The values of a process: exact under threads, forks, growth and a full disk."""

import errno
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from prefork_metrics import values
from prefork_metrics.directory import absorb, codec, snapshot
from prefork_metrics.values import Store, Value

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


def fill(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no file be made or grown any more; a test in end_to_end has a disk that is full."""

    def full(_descriptor: int, _offset: int, _size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)


def quiet_lines(caplog: pytest.LogCaptureFixture) -> int:
    return [record.message for record in caplog.records].count(
        "telemetry goes quiet: the metrics directory fails"
    )


def test_full_disk_hides_only_what_finds_no_place(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    counter = value()
    counter.inc(3)
    with monkeypatch.context() as patch:
        fill(patch)
        gauge = value(typ="gauge", mode="livesum")
        late = value("late", typ="histogram")
        for one in (counter, gauge, late, counter, value(typ="gauge", mode="livesum")):
            one.inc(1)

        assert [store.check() for _ in range(3)] == [1, 0, 0]
        assert not store.shared
        assert quiet_lines(caplog) == 1
        assert (gauge.get(), late.get()) == (2, 1)
        assert stored(tmp_path, "*") == {key("a"): 5}

    assert store.check() == 0
    assert store.shared
    late.inc(1)
    assert stored(tmp_path, "gauge_livesum") == {key("a"): 2}
    assert stored(tmp_path, "histogram") == {key("late"): 2}


def test_file_that_cannot_grow_keeps_what_it_has(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        value("first")
        fill(patch)
        many = [value(f"{number:0200d}") for number in range(1000)]  # 270 kB
        for one in many:
            one.inc(1)

        shown = stored(tmp_path)
        assert 100 < len(shown) < 1000
        assert sum(shown.values()) == len(shown) - 1

    assert store.check() == 1
    assert sum(stored(tmp_path).values()) == 1000


def test_threads_lose_no_increment_while_places_come_and_go(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = [value("0")]
    done = threading.Event()

    def count() -> int:
        counted = 0
        while not done.is_set():
            shared[counted % len(shared)].inc(1)
            counted += 1
        return counted

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(count) for _ in range(4)]
        for number in range(1, 15):
            with monkeypatch.context() as patch:
                fill(patch)
                shared.append(value(f"{number:02000d}"))
                store.check()
                time.sleep(0.002)
            store.check()
        done.set()
        counted = sum(one.result() for one in running)

    assert store.shared
    assert sum(stored(tmp_path).values()) == counted


def test_file_without_space_is_not_left_behind(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(monkeypatch)
    value()
    store.check()

    assert list(tmp_path.glob("*.db")) == []


def test_missing_directory_makes_telemetry_quiet_until_it_is_there(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "not" / "there"
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(directory))

    counter = value()
    counter.inc(1)

    assert counter.get() == 1
    assert [store.check(), store.check()] == [1, 0]
    assert (store.shared, quiet_lines(caplog)) == (False, 1)

    directory.parent.mkdir()
    store.check()
    counter.inc(1)
    assert stored(directory) == {key("a"): 2}


def test_deleted_directory_is_joined_anew(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    counter, gauge, before = value(), value(typ="gauge", mode="livesum"), set(os.listdir(tmp_path))
    counter.inc(5)
    gauge.inc(2)
    shutil.rmtree(tmp_path)
    counter.inc(1)  # has no place that anybody sees

    assert store.check() == 1

    counter.inc(3)
    gauge.inc(-1)
    assert stored(tmp_path) == {key("a"): 3}
    assert stored(tmp_path, "gauge_livesum") == {key("a"): 1}
    assert {name for name in os.listdir(tmp_path) if name in before} == {"door.lock", "gate.lock"}
    assert (store.check(), quiet_lines(caplog)) == (0, 1)


def test_series_that_is_new_before_the_loss_is_noticed_leaves_no_strange_file(
    store: Store, tmp_path: Path
) -> None:
    counter = value()
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()

    gauge = value(typ="gauge", mode="livesum")

    assert os.listdir(tmp_path) == []
    assert store.check() == 1
    assert {counter.key, gauge.key} == stored(tmp_path, "*").keys()


@pytest.mark.parametrize("lost", ["counter_*.db", "member_*.lock"])
def test_what_was_counted_before_a_file_was_lost_is_not_counted_twice(
    store: Store, tmp_path: Path, lost: str
) -> None:
    counter, other = value(), value(typ="summary")
    counter.inc(5)
    other.inc(7)
    (path,) = tmp_path.glob(lost)
    path.unlink()

    assert store.check() == 1
    counter.inc(1)
    other.inc(1)
    absorb(tmp_path)

    with snapshot(tmp_path) as current:
        summaries = [path for path in current.files if path.name.startswith("summary")]
        counters = [path for path in current.files if path.name.startswith("counter")]
        found = [
            sum(entry.value for file in files for entry in codec.read(file))
            for files in (summaries, counters)
        ]
    assert found == [8, 1 if lost.startswith("counter") else 6]


def test_who_has_left_does_not_come_back(store: Store, tmp_path: Path) -> None:
    counter = value()
    counter.inc(1)
    store.leave()
    shutil.rmtree(tmp_path)

    assert store.check() == 0
    value("late").inc(1)
    assert not tmp_path.exists()


@pytest.mark.integration
def test_child_of_a_process_without_space_tries_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fill(patch)
        counter = value()
    child = os.fork()
    if child == 0:
        store.after_fork()
        counter.inc(2)
        os._exit(0 if store.shared else 1)

    assert os.waitpid(child, 0)[1] == 0
    assert 2 in stored(tmp_path).values()


def test_without_a_directory_values_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    store = Store()
    monkeypatch.setattr(values, "store", store)

    counter = value()
    counter.inc(4)
    many = [value(f"{number:0200d}") for number in range(1000)]

    assert (counter.get(), len(many)) == (4, 1000)
    assert not store.shared
