"""Where this process keeps its metric values: doubles in mapped files, one lock, little else.

The file format is prometheus_client's own (see its mmap_dict): a used size, then entries of key,
value and timestamp, each double on an 8 byte boundary. So a value is an index into the file seen as
an array of doubles, and counting is one addition in place, where the stock value packs and writes
two doubles and asks for its pid each time.

A file is named by the process's membership of the directory, never by its pid. Space is allocated
before it is mapped: a full disk is then an error here and not a SIGBUS. Where a file cannot be had
the values live in memory, unseen by scrapes: telemetry goes quiet, says so once, and no request
fails. The same holds for a process without a directory, which shows its values itself.
"""

import logging
import mmap
import os
import struct
import threading
import weakref
from pathlib import Path
from typing import Any

import prometheus_client.values
from prometheus_client.mmap_dict import mmap_key

from app.telemetry.directory import Membership

_INITIAL_SIZE = 1 << 16
_HEADER_SIZE = 8
_log = logging.getLogger(__name__)


class ValueFile:
    """The values of one kind (`counter`, `gauge_livesum`, …); callers hold the store's lock.

    `doubles` is replaced when the file grows: read it anew inside each lock.
    """

    def __init__(self, path: Path | None) -> None:
        """Map the file; `path` None keeps the values in memory. Raises: OSError."""
        self._path = path
        self._used = _HEADER_SIZE
        self._positions: dict[str, int] = {}
        self._size = 0
        self._grow(_INITIAL_SIZE)
        self._write_used()

    def index(self, key: str) -> int:
        """Return the index of the key's value in `doubles`, adding it at 0 where it is new."""
        position = self._positions.get(key)
        if position is None:
            position = self._positions[key] = self._add(key)
        return position

    def _add(self, key: str) -> int:
        encoded = key.encode()
        padding = 8 - (len(encoded) + 4) % 8
        entry = struct.pack("i", len(encoded)) + encoded + b" " * padding + bytes(16)
        while self._used + len(entry) > self._size:
            self._grow(2 * self._size)
        self._bytes[self._used : self._used + len(entry)] = entry
        self._used += len(entry)
        # Last, so that a reader never sees an entry that is not written yet.
        self._write_used()
        return (self._used - 16) // 8

    def _write_used(self) -> None:
        self._bytes[0:4] = struct.pack("i", self._used)

    def _grow(self, size: int) -> None:
        buffer = self._memory(size) if self._path is None else self._mapped(self._path, size)
        self._bytes = memoryview(buffer)
        self.doubles = self._bytes.cast("d")
        self._size = size

    def _memory(self, size: int) -> bytearray:
        grown = bytearray(size)
        if self._size:
            grown[: self._used] = self._bytes[: self._used]
        return grown

    @staticmethod
    def _mapped(path: Path, size: int) -> mmap.mmap:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            os.posix_fallocate(descriptor, 0, size)
            return mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)


class Store:
    """The value files of this process, and its membership of the metrics directory."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._files: dict[str, ValueFile] = {}
        # Weak: what nobody can count with any more (after a reload of the code) need not be bound.
        self._values: weakref.WeakSet[Value] = weakref.WeakSet()
        self._membership: Membership | None = None
        self._quiet = False

    @property
    def shared(self) -> bool:
        """Whether scrapes of other processes can see the values."""
        return self._membership is not None and not self._quiet

    def register(self, value: "Value") -> None:
        """Give a new value its place."""
        with self.lock:
            self._values.add(value)
            self._bind(value)

    def leave(self) -> None:
        """Give up the membership in good order; what was counted stays.

        Later counts go nowhere: the files of who has left may be absorbed and deleted any moment.
        """
        with self.lock:
            self._to_memory()
            if self._membership is not None:
                self._membership.leave()
                self._membership = None

    def after_fork(self) -> None:
        """Begin anew in a child: the parent's files are the parent's to write."""
        self.lock = threading.Lock()
        if self._membership is not None:
            self._membership.forget()
            self._membership = None
        if self._values:
            self._files = {}
            for value in self._values:
                self._bind(value)

    def _bind(self, value: "Value") -> None:
        try:
            value.bind(self._file(value.kind))
        except OSError as error:
            self._go_quiet(error)
            value.bind(self._file(value.kind))

    def _file(self, kind: str) -> ValueFile:
        if kind not in self._files:
            self._files[kind] = ValueFile(self._path(kind))
        return self._files[kind]

    def _path(self, kind: str) -> Path | None:
        directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        if not directory or self._quiet:
            return None
        if self._membership is None:
            self._membership = Membership(Path(directory))
        return Path(directory) / f"{kind}_{self._membership.name}.db"

    def _go_quiet(self, error: OSError) -> None:
        """Go on in memory with every value; what is in the files so far stays there."""
        _log.error("telemetry goes quiet: the metrics directory fails", extra={"why": str(error)})
        self._to_memory()

    def _to_memory(self) -> None:
        self._quiet = True
        self._files = {}
        for value in self._values:
            value.bind(self._file(value.kind))


class Value:
    """One value, with the interface that prometheus_client's metrics expect of theirs."""

    _multiprocess = True
    __slots__ = ("__weakref__", "_key", "file", "index", "kind")

    def __init__(
        self,
        typ: str,
        metric_name: str,
        name: str,
        labelnames: Any,
        labelvalues: Any,
        help_text: str,
        multiprocess_mode: str = "",
        **_more: Any,
    ) -> None:
        self.kind = f"{typ}_{multiprocess_mode}" if typ == "gauge" else typ
        self._key = mmap_key(metric_name, name, labelnames, labelvalues, help_text)
        store.register(self)

    def bind(self, file: ValueFile) -> None:
        """Take the place in the file; the store calls it, under its lock."""
        self.index = file.index(self._key)
        self.file = file

    def inc(self, amount: float) -> None:
        with store.lock:
            self.file.doubles[self.index] += amount

    def set(self, value: float, timestamp: float | None = None) -> None:
        with store.lock:
            self.file.doubles[self.index] = value
            self.file.doubles[self.index + 1] = timestamp or 0.0

    def get(self) -> float:
        with store.lock:
            return self.file.doubles[self.index]

    def set_exemplar(self, exemplar: Any) -> None:
        """Exemplars have no place in the format."""

    def get_exemplar(self) -> None:
        return None


store = Store()
os.register_at_fork(after_in_child=store.after_fork)


def install() -> None:
    """Let prometheus_client's metrics keep their values here; call it before declaring one."""
    prometheus_client.values.ValueClass = Value
