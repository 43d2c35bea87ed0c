"""The client library's file format, read strictly and written whole.

A file starts with a 4-byte integer, how many of its bytes are used, and 4 bytes of padding. Entries
follow: a 4-byte length, a UTF-8 key of that length, spaces up to the next multiple of 8 (never
none), then two doubles: the value and its time. The key is JSON: [metric, sample, labels, help].
All numbers are in the machine's byte order. See prometheus_client/mmap_dict.py.

A process may be killed at any time: space that is allocated and not yet used is no fault, and
neither is a file of zeros, whose first entry was never written.
"""

import errno
import json
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from prefork_metrics import errors
from prefork_metrics.directory import disk

_HEADER = 8
_length = struct.Struct("i")
_numbers = struct.Struct("dd")

_FAULTS_OF_THE_FILE = {errno.EACCES, errno.EPERM, errno.EIO, errno.EISDIR, errno.ELOOP}
"""Any other (no descriptors, no memory) is a fault of the moment: the file may be good."""


class ValueFileUnreadableError(errors.ValueFileUnreadableError):
    """A file of values cannot be used; `path` and `why` say which and what is wrong with it."""

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        self.why = why
        super().__init__(f"{path.name}: {why}")


class Entry(NamedTuple):
    """One value under its key, with its time (0 where none was given)."""

    key: str
    value: float
    timestamp: float


def read(path: Path, keys: dict[bytes, str] | None = None) -> list[Entry]:
    """Return the entries of a file.

    `keys` remembers the keys that are good: give the same one for files with the same keys, since
    checking a key is most of the work.
    Raises: ValueFileUnreadableError for what this file is to blame for; OSError for the rest
    (FileNotFoundError among them).
    """
    try:
        data = disk.read(path)
    except OSError as error:
        if error.errno in _FAULTS_OF_THE_FILE:
            raise ValueFileUnreadableError(path, str(error.strerror)) from error
        raise
    try:
        return list(_entries(data, {} if keys is None else keys))
    except (ValueError, RecursionError) as error:  # also what decoding UTF-8 and JSON raises
        raise ValueFileUnreadableError(path, str(error)) from error


def encode(entries: Iterable[Entry]) -> bytes:
    """Return the content of a file with these entries."""
    parts = [b""]
    for key, value, timestamp in entries:
        encoded = key.encode()
        parts += (
            _length.pack(len(encoded)),
            encoded.ljust(_padded(len(encoded))),
            _numbers.pack(value, timestamp),
        )
    used = _HEADER + sum(map(len, parts))
    parts[0] = _length.pack(used) + bytes(_HEADER - _length.size)
    return b"".join(parts)


def positions(entries: Iterable[Entry]) -> Iterator[int]:
    """Yield where in a file with these entries, in their order, each value lies."""
    position = _HEADER
    for key, _, _ in entries:
        length = len(key.encode())
        position += _length.size + _padded(length)
        yield position
        position += _numbers.size


def _entries(data: bytes, keys: dict[bytes, str]) -> Iterator[Entry]:
    position, used = _HEADER, _used(data)
    while position < used:
        (length,) = _length.unpack_from(data, position)
        start = position + _length.size
        numbers = start + _padded(length)
        position = numbers + _numbers.size
        if length <= 0 or position > used:
            raise ValueError(f"an entry has the impossible length {length}")
        encoded = data[start : start + length]
        key = keys.get(encoded)
        if key is None:
            key = keys[encoded] = _checked_key(encoded)
        yield Entry(key, *_numbers.unpack_from(data, numbers))


def _used(data: bytes) -> int:
    if not data:
        raise ValueError("it is empty")
    if len(data) < _HEADER:
        raise ValueError("it ends within its header")
    used: int = _length.unpack_from(data)[0]
    if used > len(data):
        raise ValueError(f"it ends after {len(data)} of {used} bytes")
    if used % 8 or used < 0:
        raise ValueError(f"it claims an impossible size ({used})")
    return used


def _padded(length: int) -> int:
    return length + 8 - (length + _length.size) % 8


def _checked_key(encoded: bytes) -> str:
    key = encoded.decode()
    parts = json.loads(key)
    if not (isinstance(parts, list) and len(parts) == 4):
        raise ValueError("a key is not a list of four")
    metric, sample, labels, text = parts
    strings = isinstance(metric, str) and isinstance(sample, str) and isinstance(text, str)
    if not (strings and isinstance(labels, dict)):
        raise ValueError("a key is not [metric, sample, labels, help]")
    if not all(isinstance(value, str) for value in labels.values()):
        raise ValueError("a label's value is not a string")
    return key
