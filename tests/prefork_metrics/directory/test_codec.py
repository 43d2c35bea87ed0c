"""The client library's format: what it writes is read, what is spoilt is refused."""

import errno
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict

from prefork_metrics.directory import codec, disk
from prefork_metrics.directory.codec import Entry, ValueFileUnreadableError
from tests.prefork_metrics.directory.support import key

ENTRIES = [
    Entry(key("a", label="x" * length, ünïcode="→ \u2028 😀"), value, 7.0)
    for length, value in enumerate((0.0, -1.5, float("inf"), 5e-324, 1e308, 3.0, 2.0, 1.0, 9.0))
]


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "counter_7.db"
    disk.write(path, codec.encode(ENTRIES))
    return path


def test_stock_reads_what_is_written(good: Path) -> None:
    found = [entry[:3] for entry in MmapedDict.read_all_values_from_file(str(good))]
    assert found == [tuple(entry) for entry in ENTRIES]


def test_stock_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "counter_7.db"
    file = MmapedDict(str(path))
    for entry in ENTRIES:
        file.write_value(*entry)
    file.close()

    assert codec.read(path) == ENTRIES


def test_file_of_zeros_has_no_entries(good: Path) -> None:
    good.write_bytes(bytes(1 << 16))
    assert codec.read(good) == []


def spoil_key(content: bytes, spoilt: bytes) -> bytes:
    padded = spoilt + b" " * (8 - (len(spoilt) + 4) % 8)
    entry = struct.pack(f"i{len(padded)}sdd", len(spoilt), padded, 1.0, 0.0)
    return struct.pack("ii", 8 + len(entry), 0) + entry


SPOILT: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda c: b"", "empty"),
    "within the header": (lambda c: c[:5], "within its header"),
    "truncated": (lambda c: c[:-20], "ends after"),
    "negative size": (lambda c: struct.pack("i", -8) + c[4:], "impossible size"),
    "odd size": (lambda c: struct.pack("i", 13) + c[4:], "impossible size"),
    "size within an entry": (lambda c: struct.pack("i", 32) + c[4:], "impossible length"),
    "length too large": (lambda c: c[:8] + struct.pack("i", 1 << 30) + c[12:], "impossible length"),
    "length negative": (lambda c: c[:8] + struct.pack("i", -1) + c[12:], "impossible length"),
    "length zero": (lambda c: c[:8] + struct.pack("i", 0) + c[12:], "impossible length"),
    "not UTF-8": (lambda c: spoil_key(c, b'["\xff\xfe", "a", {}, ""]'), "decode"),
    "not JSON": (lambda c: spoil_key(c, b"garbage"), "Expecting"),
    "too deep": (lambda c: spoil_key(c, b"[" * 100_000), "recursion"),
    "no list": (lambda c: spoil_key(c, b'{"a": 1}'), "list of four"),
    "no strings": (lambda c: spoil_key(c, b'["a", 1, {}, ""]'), "help"),
    "labels no object": (lambda c: spoil_key(c, b'["a", "a", [], ""]'), "help"),
    "label no string": (lambda c: spoil_key(c, b'["a", "a", {"b": 1}, ""]'), "label"),
}


@pytest.mark.parametrize(("spoil", "why"), SPOILT.values(), ids=SPOILT)
def test_spoilt_file_is_refused_with_a_reason(
    good: Path, spoil: Callable[[bytes], bytes], why: str
) -> None:
    good.write_bytes(spoil(good.read_bytes()))

    with pytest.raises(ValueFileUnreadableError, match=why) as caught:
        codec.read(good)

    assert caught.value.path == good
    assert str(caught.value).startswith("counter_7.db: ")


def test_random_damage_is_read_or_refused(good: Path) -> None:
    content = good.read_bytes()
    for number in range(len(content)):
        damaged = bytearray(content)
        damaged[number] ^= 0xFF
        good.write_bytes(damaged)
        try:
            codec.read(good)
        except ValueFileUnreadableError:
            continue


def test_directory_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueFileUnreadableError):
        codec.read(tmp_path)


def test_lack_of_descriptors_is_not_the_files_fault(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, flags: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        codec.read(good)


def test_full_disk_changes_nothing(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = good.read_bytes()
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        disk.write(good, b"x" * 100)

    assert good.read_bytes() == before
    assert os.listdir(good.parent) == [good.name]
