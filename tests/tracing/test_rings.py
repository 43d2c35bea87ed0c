"""Ring files: what was written is read once and in order, whatever the sizes, and nothing else."""

import mmap
import os
import random
import signal
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from app.tracing import rings
from app.tracing.rings import SLOTS, RingReader, RingsFullError, RingWriter

TOTAL = SLOTS * mmap.PAGESIZE
ROOM = mmap.PAGESIZE - 64


_open: list[RingReader | RingWriter] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close what a test has opened, and has not closed itself."""
    yield
    for one in _open:
        with suppress(OSError):
            one.close()
    _open.clear()


def reader(directory: Path, slot: int = 0) -> RingReader:
    ours = RingReader(directory / f"ring-{slot:02d}")
    _open.append(ours)
    return ours


def writer_of(directory: Path, total: int = TOTAL, slots: int = SLOTS) -> RingWriter:
    ours = RingWriter(directory, total, slots)
    _open.append(ours)
    return ours


def test_everything_comes_once_and_in_order_around_the_end(tmp_path: Path) -> None:
    writer, seen, written = writer_of(tmp_path, TOTAL // SLOTS, 1), [], []
    ours = reader(tmp_path)
    for turn in range(2000):
        record = bytes([turn % 251]) * random.randrange(1, 700)
        if not writer.write(record):
            for found, position in ours.records():
                seen.append(found)
                ours.release(position)
            assert writer.write(record)
        written.append(record)
    seen += [found for found, _ in ours.records()]
    assert seen == written


def test_what_has_no_room_is_not_written_until_some_is_given_back(tmp_path: Path) -> None:
    writer = writer_of(tmp_path, TOTAL // SLOTS, 1)
    ours = reader(tmp_path)
    assert not writer.write(b"x" * ROOM)
    assert writer.write(b"x" * (ROOM - 8))
    assert not writer.write(b"")
    ((_, position),) = ours.records()
    assert not writer.write(b"")  # read, and not through yet
    ours.release(position)
    assert writer.write(b"y")
    assert [found for found, _ in ours.records()] == [b"y"]


def test_whose_ring_is_full_goes_on_in_the_free_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rings, "_MOVE_SECONDS", 0.0)
    other, writer = writer_of(tmp_path), writer_of(tmp_path)
    other.write(b"other")
    written = 0
    while writer.write(written.to_bytes(8) + b"x" * 492):
        written += 1
    # All of the room but the one of the other, a quarter for who starts, and a rest in each.
    assert written == (SLOTS - 1 - SLOTS // 4) * (ROOM // 512)
    assert writer_of(tmp_path).write(b"somebody new")
    found = [
        record
        for slot in range(1, len([*tmp_path.iterdir()]))
        for record, _ in reader(tmp_path, slot).records()
        if record != b"somebody new"
    ]
    assert sorted(int.from_bytes(record[:8]) for record in found) == list(range(written))
    assert [record for record, _ in reader(tmp_path).records()] == [b"other"]
    read = reader(tmp_path, 2)
    for _, position in read.records():
        read.release(position)
    assert writer.write(b"again")


def test_a_new_process_begins_in_the_emptiest(tmp_path: Path) -> None:
    writers = [RingWriter(tmp_path, 3 * (TOTAL // SLOTS), 3) for _ in range(3)]
    for writer, length in zip(writers, (300, 200, 400), strict=True):
        writer.write(b"x" * length)
    for writer in writers:
        writer.close()
    writer_of(tmp_path, 3 * (TOTAL // SLOTS), 3).write(b"new")
    assert b"new" in [record for record, _ in reader(tmp_path, 1).records()]


def test_what_cannot_be_opened_costs_its_own_room_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rings, "_MOVE_SECONDS", 0.0)
    (tmp_path / "ring-01").mkdir()
    writer = writer_of(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    while writer.write(b"x" * 1000):
        pass
    for _ in range(20):
        assert not writer.write(b"x" * 1000)
    assert len(os.listdir("/proc/self/fd")) == before
    assert writer_of(tmp_path).write(b"somebody else")


def test_a_ring_is_not_taken_for_gone_while_it_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rings, "_MOVE_SECONDS", 0.0)
    writer, done = writer_of(tmp_path), threading.Event()

    def fill() -> None:
        while not done.is_set():
            if not writer.write(b"x" * 1000):
                for path in tmp_path.glob("ring-??"):
                    with suppress(ValueError), closing(RingReader(path)) as read:
                        for _, position in read.records():
                            read.release(position)

    thread = threading.Thread(target=fill)
    thread.start()
    ends_at = time.monotonic() + 0.5
    while time.monotonic() < ends_at:
        assert not writer.is_gone
    done.set()
    thread.join()


def test_zeros_are_no_records(tmp_path: Path) -> None:
    writer = writer_of(tmp_path)
    writer.write(b"lost with the host" * 100)
    with (tmp_path / "ring-00").open("r+b") as file:
        file.seek(64)
        file.write(bytes(ROOM))
    ours = reader(tmp_path)
    assert list(ours.records()) == []
    time.sleep(1.1)
    assert [found for found, _ in ours.records()] == [b""]


def test_of_another_size_is_replaced_when_it_is_read(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path, TOTAL)
    writer.write(b"of before")
    writer.close()
    RingWriter(tmp_path, 2 * TOTAL).close()
    read = reader(tmp_path)
    ((record, position),) = read.records()
    assert record == b"of before"
    read.release(position)
    RingWriter(tmp_path, 2 * TOTAL).close()
    assert not read.is_of(tmp_path / "ring-00")


def test_what_was_not_through_is_read_again_by_the_next_reader(tmp_path: Path) -> None:
    writer = writer_of(tmp_path)
    writer.write(b"one")
    writer.write(b"two")
    first = reader(tmp_path)
    (_, position), _ = list(first.records())
    first.release(position)
    first.close()
    assert [found for found, _ in reader(tmp_path).records()] == [b"two"]


def test_a_killed_writer_leaves_all_that_it_has_written(tmp_path: Path) -> None:
    for turn in range(20):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            writer = RingWriter(tmp_path, TOTAL * 64)
            for number in range(10**6):
                if writer.write(struct.pack("<II", turn, number)):
                    os.write(writing, b"x")
            os._exit(0)
        os.close(writing)
        os.read(reading, 1)
        time.sleep(random.uniform(0, 0.01))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        told = 1
        while piece := os.read(reading, 1 << 16):
            told += len(piece)
        os.close(reading)
        found = []
        # Whoever looks at a process that was killed (/proc) keeps its file, and the lock of it, for
        # a moment longer: the next one may have taken another.
        for slot in range(len(list(tmp_path.glob("ring-??")))):
            ours = reader(tmp_path, slot)
            for record, position in ours.records():
                found.append(struct.unpack("<II", record))
                ours.release(position)
            ours.close()
        # It may have been killed between writing and telling.
        assert found == [(turn, number) for number in range(len(found))]
        assert told <= len(found) <= told + 1


def test_each_process_has_one_and_another_takes_it_over(tmp_path: Path) -> None:
    writers = [writer_of(tmp_path) for _ in range(SLOTS)]
    with pytest.raises(RingsFullError):
        RingWriter(tmp_path, TOTAL)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == TOTAL
    writers[3].write(b"left")
    writers[3].close()
    next_one = writer_of(tmp_path)
    next_one.write(b"new")
    assert [found for found, _ in reader(tmp_path, 3).records()] == [b"left", b"new"]


def test_files_of_another_size_or_kind_begin_anew(tmp_path: Path) -> None:
    (tmp_path / "ring-00").write_bytes(b"something else" * 1000)
    with pytest.raises(ValueError, match="is no ring"):
        reader(tmp_path)
    RingWriter(tmp_path, TOTAL).close()
    old = reader(tmp_path)
    assert old.is_of(tmp_path / "ring-00")
    RingWriter(tmp_path, 2 * TOTAL).close()
    assert not old.is_of(tmp_path / "ring-00")
    assert list(reader(tmp_path).records()) == []


def test_a_damaged_record_costs_what_is_behind_it_and_no_more(tmp_path: Path) -> None:
    writer = writer_of(tmp_path)
    for record in (b"good", b"broken", b"behind"):
        writer.write(record)
    with (tmp_path / "ring-00").open("r+b") as file:
        file.seek(64 + 16 + 8)
        file.write(b"X")
    ours = reader(tmp_path)
    assert [found for found, _ in ours.records()] == [b"good"]
    assert list(ours.records()) == []
    time.sleep(1.1)
    assert [found for found, _ in ours.records()] == [b""]  # now it is given up
    writer.write(b"later")
    ((found, position),) = ours.records()
    ours.release(position)
    assert found == b"later"
    assert writer.write(b"x" * (ROOM - 8))
