"""Ring files: what leaves a process for the exporter, whatever becomes of the process.

A directory has a fixed number of files of a fixed size, allocated before the first byte, so that
traces take no more room than that. Each process writes one of them, which it holds by a lock (the
kernel gives it up when the process ends), and goes on in another that nobody holds when it is full;
the exporter reads all of them. A record is there once
the position behind it is written, which is one store of eight bytes: a writer may be killed at any
moment. A record that has no room is not written, and counted: its spans by who wanted to, a line of
the log in the file (who counts may log, and may not be counting meanwhile).

Header: 8 bytes of magic, then unsigned 64-bit numbers of this machine: written and read, positions
that only grow (modulo the size of the data they are places); lost, by the writer, and how many of
those the reader has told. Record: 32-bit length and
CRC-32, then so many bytes, padded to 8.
"""

import fcntl
import mmap
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

SLOTS = 16
"""Files of a directory of spans: more processes than these write none, and say so."""
_MAGIC = b"vbxring1"
_HEADER = 64
_WRITTEN, _READ, _LOST, _TOLD = 8, 16, 24, 32
# Native, and at a multiple of its size: one store, which no reader sees half of.
_POSITION = struct.Struct("@Q")
_LENGTHS = struct.Struct("<II")
_ALIGNED = 8
_DAMAGED_SECONDS = 1.0
_MOVE_SECONDS = 0.25


class RingsFullError(OSError):
    """Every file of the directory is some other process's."""


class _Ring:
    """The file as memory: positions, and bytes that go round."""

    def __init__(self, file: int, size: int) -> None:
        self.memory = mmap.mmap(file, size)
        self.size = size - _HEADER

    def get(self, place: int) -> int:
        return int(_POSITION.unpack_from(self.memory, place)[0])

    def put(self, place: int, value: int) -> None:
        _POSITION.pack_into(self.memory, place, value)

    def has_room(self, length: int) -> bool:
        return self.get(_WRITTEN) + length - self.get(_READ) <= self.size

    def store(self, position: int, content: bytes) -> None:
        at = position % self.size
        if at + len(content) <= self.size:
            self.memory[_HEADER + at : _HEADER + at + len(content)] = content
            return
        first = self.size - at
        self.memory[_HEADER + at : _HEADER + at + first] = content[:first]
        self.memory[_HEADER : _HEADER + len(content) - first] = content[first:]

    def load(self, position: int, length: int) -> bytes:
        at = position % self.size
        first = min(length, self.size - at)
        rest = length - first
        return (
            self.memory[_HEADER + at : _HEADER + at + first] + self.memory[_HEADER : _HEADER + rest]
        )


class RingWriter:
    """The ring of this process; any thread may write."""

    def __init__(self, directory: Path, total: int, slots: int = SLOTS) -> None:
        """Take a file of `directory`, whose `slots` files have `total` bytes together.

        Raises: RingsFullError; OSError where there is no room on the disk.
        """
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = threading.Lock()
        self._directory, self._slots = directory, slots
        self._size = max(mmap.PAGESIZE, total // slots // mmap.PAGESIZE * mmap.PAGESIZE)
        self._next_move = 0.0
        self._path, self._file, self._ring = self._open()

    def _open(self) -> tuple[Path, int, _Ring]:
        path, file = _take(self._directory, self._size, self._slots)
        try:
            return path, file, _Ring(file, self._size)
        except BaseException:
            os.close(file)
            raise

    @property
    def is_gone(self) -> bool:
        """Whether nobody finds the file any more: the directory was deleted."""
        return not _is_same(self._file, self._path)

    def write(self, record: bytes) -> bool:
        """Write a record; tell whether it had room."""
        length = _LENGTHS.size + len(record)
        padded = -(-length // _ALIGNED) * _ALIGNED
        framed = _LENGTHS.pack(len(record), zlib.crc32(record)) + record
        lock = self._lock
        lock.acquire()  # not by `with`, which costs twice as much
        try:
            if not self._ring.has_room(padded) and not self._moves(padded):
                return False
            ring = self._ring
            written = ring.get(_WRITTEN)
            ring.store(written, framed)
            ring.put(_WRITTEN, written + padded)
            return True
        finally:
            lock.release()

    def _moves(self, length: int) -> bool:
        """Go on in a ring that has so much room, if one is free; what is in this one stays."""
        if (now := monotonic()) < self._next_move:
            return False
        self._next_move = now + _MOVE_SECONDS
        try:
            path, file, ring = self._open()
        except OSError:
            return False
        if not ring.has_room(length):
            ring.memory.close()
            os.close(file)
            return False
        self.close()
        self._path, self._file, self._ring = path, file, ring
        return True

    def lose(self, number: int) -> None:
        """Note that so many records are lost."""
        with self._lock:
            self._ring.put(_LOST, self._ring.get(_LOST) + number)

    def close(self) -> None:
        """Give the file back; what is in it stays."""
        self._ring.memory.close()
        os.close(self._file)


def _take(directory: Path, size: int, slots: int) -> tuple[Path, int]:
    """Return the emptiest ring of this size that is nobody's, and its descriptor, with the lock."""
    best: tuple[int, Path, int] | None = None
    for slot in range(slots):
        path = directory / f"ring-{slot:02d}"
        file = _locked(path)
        if file is None:
            continue
        unread = _unread(file, size)
        if best is not None and unread >= best[0]:
            os.close(file)
            continue
        if best is not None:
            os.close(best[2])
        best = unread, path, file
        if not unread:
            break
    if best is None:
        raise RingsFullError(f"all {slots} rings of {directory} are taken")
    _, path, file = best
    try:
        return path, file if _is_ring(file, size) else _replaced(path, file, size)
    except BaseException:
        os.close(file)
        raise


def _unread(file: int, size: int) -> int:
    """Return how many bytes wait for the exporter there; none in what is no ring."""
    if not _is_ring(file, size):
        return 0
    written, read = (_POSITION.unpack(os.pread(file, 8, at))[0] for at in (_WRITTEN, _READ))
    return int(written - read)


def _locked(path: Path) -> int | None:
    """Return the file's descriptor with the lock; None where another process has it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    if _is_same(file, path):
        return file
    os.close(file)  # somebody has put another one in its place
    return None


def _is_same(file: int, path: Path) -> bool:
    try:
        found = path.stat()
    except OSError:
        return False
    ours = os.fstat(file)
    return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)


def _is_ring(file: int, size: int) -> bool:
    return os.fstat(file).st_size == size and os.pread(file, len(_MAGIC), 0) == _MAGIC


def _replaced(path: Path, file: int, size: int) -> int:
    """Put an empty ring in the place of what is none, or of another size; return its descriptor.

    A new file: whoever has the old one mapped goes on with that.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    new = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(new, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # All of the space or none: writing to a hole of a full disk would kill the process.
        os.posix_fallocate(new, 0, size)
        os.pwrite(new, _MAGIC, 0)
        temporary.rename(path)
    except BaseException:
        os.close(new)
        temporary.unlink(missing_ok=True)
        raise
    os.close(file)
    return new


class RingReader:
    """Reads one file; there is one reader of a directory at a time."""

    def __init__(self, path: Path) -> None:
        """Map the file. Raises: OSError; ValueError where it is no ring (yet)."""
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._identity = os.fstat(file)
            if os.pread(file, len(_MAGIC), 0) != _MAGIC:
                raise ValueError(f"{path} is no ring")
            self._ring = _Ring(file, self._identity.st_size)
        finally:
            os.close(file)
        self._next = min(self._ring.get(_READ), self._ring.get(_WRITTEN))
        self._suspect = (-1, 0.0)

    def records(self) -> Iterator[tuple[bytes, int]]:
        """Yield what was not taken yet: each record, and the position to give to `release`.

        A record that stays damaged is dropped with what is behind it, which cannot be told apart:
        an empty record stands for that.
        """
        while self._next < (written := self._ring.get(_WRITTEN)):
            record = self._whole(written)
            if record is None:
                # Another core may see a position before what lies in front of it.
                if self._is_damaged_for(_DAMAGED_SECONDS):
                    self._next = written
                    yield b"", written
                return
            length = _LENGTHS.size + len(record)
            self._next += -(-length // _ALIGNED) * _ALIGNED
            yield record, self._next

    def _whole(self, written: int) -> bytes | None:
        """Return the next record; None where what lies there is none."""
        length, checksum = _LENGTHS.unpack(self._ring.load(self._next, _LENGTHS.size))
        if length > written - self._next - _LENGTHS.size:
            return None
        record = self._ring.load(self._next + _LENGTHS.size, length)
        return record if zlib.crc32(record) == checksum else None

    def _is_damaged_for(self, seconds: float) -> bool:
        place, since = self._suspect
        if place != self._next:
            self._suspect = (self._next, monotonic())
            return False
        return monotonic() - since >= seconds

    def release(self, position: int) -> None:
        """Give the room up to this position back to the writer."""
        if position <= self._ring.get(_WRITTEN):
            self._ring.put(_READ, position)

    def lost(self) -> int:
        """Return how many records the writer has lost since it was asked last."""
        lost = self._ring.get(_LOST)
        number = max(0, lost - self._ring.get(_TOLD))
        self._ring.put(_TOLD, lost)
        return number

    def is_of(self, path: Path) -> bool:
        """Tell whether this is still the file under this name, in its size."""
        try:
            now = path.stat()
        except OSError:
            return False
        return (now.st_ino, now.st_size) == (self._identity.st_ino, self._identity.st_size)

    def close(self) -> None:
        self._ring.memory.close()
