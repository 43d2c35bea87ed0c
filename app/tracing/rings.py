"""Ring files: what leaves a process for the exporter, whatever becomes of the process.

A directory has a fixed number of files of a fixed size, allocated before the first byte, so that
traces take no more room than that. Each process writes one of them, which it holds by a lock (the
kernel gives it up when the process ends). When it is full it goes on in an empty one that nobody
holds, as long as a quarter of all stay so: who starts has room. The exporter reads all of them. A
record is there once the position behind it is written, which is one store of eight bytes: a writer
may be killed at any moment. A record that has no room is not written, and counted: its spans by who
wanted to, a line of the log in the file (who counts may log, and may not be counting meanwhile).

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
_SPARE_SHARE = 4


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

    def _open(self, spare: int = 0) -> tuple[Path, int, _Ring]:
        path, file = _take(self._directory, self._size, self._slots, spare)
        try:
            return path, file, _Ring(file, self._size)
        except BaseException:
            os.close(file)
            raise

    @property
    def is_gone(self) -> bool:
        """Whether nobody finds the file any more: the directory was deleted."""
        with self._lock:
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
        """Go on in an empty ring, if it has so much room and others stay free; this one's stays."""
        if length > self._ring.size or (now := monotonic()) < self._next_move:
            return False
        self._next_move = now + _MOVE_SECONDS
        try:
            path, file, ring = self._open(spare=max(1, self._slots // _SPARE_SHARE))
        except OSError:
            return False
        self._leave()
        self._path, self._file, self._ring = path, file, ring
        return True

    def lose(self, number: int) -> None:
        """Note that so many records are lost."""
        with self._lock:
            self._ring.put(_LOST, self._ring.get(_LOST) + number)

    def close(self) -> None:
        """Give the file back; what is in it stays."""
        with self._lock:
            self._leave()

    def _leave(self) -> None:
        self._ring.memory.close()
        os.close(self._file)


def _take(directory: Path, size: int, slots: int, spare: int) -> tuple[Path, int]:
    """Return the emptiest ring that is nobody's, and its descriptor, which holds the lock.

    spare: so many empty ones are left to others, and what is returned is empty; 0: any will do.
    Raises: RingsFullError where there is none; OSError where none can be had.
    """
    trouble: OSError = RingsFullError(f"all {slots} rings of {directory} are taken")
    free = sorted(_free(directory, size, slots))
    if spare:
        empty = [one for one in free if not one[0]]
        free = empty[: max(0, len(empty) - spare)]
    for _, path in free:
        try:
            file = _locked(path)
        except OSError as error:
            trouble = error
            continue
        if file is None:  # somebody was quicker
            continue
        try:
            return path, file if _is_ring(file, size) else _replaced(path, file, size)
        except BaseException:
            os.close(file)
            raise
    raise trouble


def _free(directory: Path, size: int, slots: int) -> Iterator[tuple[int, Path]]:
    """Yield how much is unread of each ring that nobody holds, and its path.

    Not of one in another size that the exporter has not read to its end: it would be replaced.
    """
    for slot in range(slots):
        path = directory / f"ring-{slot:02d}"
        file = None
        try:
            file = _locked(path) if path.exists() else None
            unread = 0 if file is None else _unread(file)
            if not path.exists() or (file is not None and (not unread or _is_ring(file, size))):
                yield unread, path
        except OSError:  # of another owner, or no file
            continue
        finally:
            if file is not None:
                os.close(file)


def _unread(file: int) -> int:
    """Return how many bytes wait for the exporter there; none in what is no ring."""
    head = os.pread(file, _HEADER, 0)
    if len(head) < _HEADER or not head.startswith(_MAGIC):
        return 0
    written, read = (int(_POSITION.unpack_from(head, at)[0]) for at in (_WRITTEN, _READ))
    return max(0, written - read)


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
        found, ours = path.stat(), os.fstat(file)
    except OSError:
        return False
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
            if self._identity.st_size < _HEADER or os.pread(file, len(_MAGIC), 0) != _MAGIC:
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
        # Of zeros, which a host leaves that crashed, the checksum would be right.
        if not 0 < length <= written - self._next - _LENGTHS.size:
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
