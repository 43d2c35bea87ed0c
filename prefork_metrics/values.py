"""Where this process keeps its metric values: doubles in mapped files, one lock, little else.

The file format is prometheus_client's own (see its mmap_dict): a used size, then entries of key,
value and timestamp, each double on an 8 byte boundary. So a value is an index into the file seen as
an array of doubles, and counting is one addition in place, where the stock value packs and writes
two doubles and asks for its pid each time.

A file is named by the process's membership of the directory, never by its pid. Space is allocated
before it is mapped: a full disk is then an error here and not a SIGBUS.

No request fails because the directory does, and what scrapes see stays right:

* Values that have a place in a file go on counting there, whatever becomes of the disk.
* Values for which there is no place (a full disk, a read-only one) live in memory, unseen by
  scrapes, until `Store.check` finds room for them; then what they counted meanwhile shows.
* Native buckets are a row of counts in place of value and time, in a file beside the values.
* States (of an Info or an Enum) are numbers of no file: they lie beside the values.
* When a total (counter, histogram, summary) first appeared stands in its entry's time, which says
  nothing in the client library's files of these kinds: it is written once, with the entry.
* Series that are removed (`Store.remove`) go on being counted in the files, and the directory says
  what of them is not shown (see `directory.removed`).
* Where the process's own files are gone (somebody deleted the directory), the process joins anew,
  under another name. Its counters begin at 0, for what they counted before went with the files, or
  is in the archive already: to Prometheus that is a reset, and never counts anything twice.

Each such trouble is one line in the log, and is counted once (see `Store.check`). A process without
a directory has all its values in memory, and shows them itself.
"""

import logging
import mmap
import os
import struct
import threading
import time
import weakref
from array import array
from pathlib import Path
from typing import Any

import prometheus_client.values
from prometheus_client.mmap_dict import mmap_key

from prefork_metrics.directory import Heartbeat, Membership, disk, layout, remove
from prefork_metrics.directory.native_records import KIND as NATIVE
from prefork_metrics.directory.native_records import PLACES
from prefork_metrics.directory.removed import Match, matches
from prefork_metrics.directory.starts import TOTALS
from prefork_metrics.directory.states import KIND as STATES
from prefork_metrics.directory.states import State, States, encode
from prefork_metrics.errors import MetricsDirectoryBusyError
from prefork_metrics.exemplars import KIND, Exemplar, ExemplarFile, Pairs

_INITIAL_SIZE = 1 << 16
_HEADER_SIZE = 8
_REMOVAL_WAIT = 1.0
"""Seconds to wait for the directory's lock in `remove`, which the caller waits for."""
_RETURN_WAIT = 0.2
"""Seconds to wait for the directory's lock in `check`, which comes again in a moment."""
_log = logging.getLogger(__name__)


class ValueFile:
    """The values of one kind (`counter`, `gauge_livesum`, …); callers hold the store's lock.

    `doubles` is replaced when the file grows: read it anew inside each lock. `shared` says whether
    other processes can read them, `totals` whether they only grow, since a time of their own.
    """

    def __init__(self, path: Path | None, kind: str) -> None:
        """Map the file; `path` None keeps the values in memory. Raises: OSError."""
        self._path = path
        self.shared = path is not None
        self.totals = kind in TOTALS
        # How many doubles an entry has: a value and its time, or the counts of all native buckets.
        self.width = PLACES if kind == NATIVE else 2
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

    @property
    def entries(self) -> int:
        """How many values it holds."""
        return len(self._positions)

    def __contains__(self, key: str) -> bool:
        return key in self._positions

    @property
    def stands(self) -> bool:
        """Whether the file is still where others look for it; where that cannot be told, it is."""
        try:
            return self._path is None or self._path.exists()
        except OSError:
            return True

    def forget(self, match: Match) -> None:
        """Give what is counted anew of these series another place; for a file in memory only."""
        for key in [key for key in self._positions if matches(key, match)]:
            del self._positions[key]

    def _add(self, key: str) -> int:
        encoded = key.encode()
        padding = 8 - (len(encoded) + 4) % 8
        numbers = bytearray(8 * self.width)
        if self.totals:
            struct.pack_into("d", numbers, 8, time.time())
        entry = struct.pack("i", len(encoded)) + encoded + b" " * padding + numbers
        while self._used + len(entry) > self._size:
            self._grow(2 * self._size)
        self._bytes[self._used : self._used + len(entry)] = entry
        self._used += len(entry)
        # Last, so that a reader never sees an entry that is not written yet.
        self._write_used()
        return self._used // 8 - self.width

    def _write_used(self) -> None:
        self._bytes[0:4] = struct.pack("i", self._used)

    def _grow(self, size: int) -> None:
        if self._path is None:
            buffer: bytearray | mmap.mmap = self._memory(size)
        else:
            # Never made anew to grow: what it holds would be missing from the new file.
            buffer = disk.mapped(self._path, size, create=self._size == 0)
        self._bytes = memoryview(buffer)
        self.doubles = self._bytes.cast("d")
        self._size = size

    def _memory(self, size: int) -> bytearray:
        grown = bytearray(size)
        if self._size:
            grown[: self._used] = self._bytes[: self._used]
        return grown


class Store:
    """The value files of this process, and its membership of the metrics directory.

    Attributes: lock (held to count, and to read `Value.file` and `Value.index`).
    """

    def __init__(self) -> None:
        # Reentrant: a finalizer that the collector runs in the middle may count too.
        self.lock = threading.RLock()
        self._files: dict[str, ValueFile] = {}
        self._memory: dict[str, ValueFile] = {}
        # Weak: what nobody can count with any more (after a reload of the code) need not be bound.
        self._values: weakref.WeakSet[Value] = weakref.WeakSet()
        self._membership: Membership | None = None
        self._heartbeat: Heartbeat | None = None
        self._exemplars: ExemplarFile | None = None
        self._states: States = {}
        self._removals: list[Match] = []
        self._failing = False
        self._left = False
        self._troubles = 0

    @property
    def shared(self) -> bool:
        """Whether scrapes of other processes can see all the values."""
        return self.joined and not self._memory

    @property
    def joined(self) -> bool:
        """Whether others can see that this process lives."""
        return self._membership is not None

    def register(self, value: "Value") -> None:
        """Give a new value its place."""
        with self.lock:
            self._values.add(value)
            self._bind(value)

    def check(self) -> int:
        """Notice what befell the directory, and return to it as soon as that is possible.

        Call it every second, from one thread; it never raises because of the directory.
        Returns: how many troubles began since the last call, for the caller to count.
        """
        directory = _directory()
        if directory is not None and not self._left:
            if self._membership is not None and not self._stands(self._membership):
                self._lose(self._membership)
            if self._failing:
                self._return(directory)
            if self._removals:
                self._remove(directory, _RETURN_WAIT)
        if self._heartbeat is not None:
            self._heartbeat.beat(sum(file.entries for file in list(self._memory.values())))
        with self.lock:
            troubles, self._troubles = self._troubles, 0
        return troubles

    def put_exemplar(self, value: "Value", labels: Pairs, observed: float) -> None:
        """Keep an exemplar beside a value, where a scrape can find both; never raises.

        Its time is that of the write: one that waited here would be older than what other processes
        have shown meanwhile.
        """
        exemplar = Exemplar(labels, observed, 0.0)
        if not exemplar.fits:
            return
        with self.lock:
            # A member of the directory only: without one the client's own encoder makes the scrape.
            if not value.file.shared or self._membership is None:
                return
            try:
                if self._exemplars is None:
                    directory = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
                    path = layout.side_path(directory, KIND, self._membership.name)
                    self._exemplars = ExemplarFile(path)
                place = (value.kind, value.index * 8)
                self._exemplars.put(place, exemplar._replace(time=time.time()))
            except OSError as error:
                # Values are what matters, and say so themselves when the directory fails.
                _log.debug("exemplar not kept", extra={"why": str(error)})

    def put_state(self, state: State) -> None:
        """Keep what an Info or an Enum is set to, where a scrape can find it; never raises."""
        with self.lock:
            self._states[state.key] = state
            directory = _directory()
            if directory is None or self._failing or self._left:
                return
            try:
                self._write_states(directory)
            except (OSError, MetricsDirectoryBusyError) as error:
                self._fail(str(error))

    def remove(self, match: Match) -> None:
        """Have series shown no more, whoever has counted them; never raises.

        Where the directory cannot be changed now, `check` tries again.
        """
        with self.lock:
            for key in [key for key, one in self._states.items() if match(one.name, one.labels)]:
                del self._states[key]
            for file in self._memory.values():
                file.forget(match)
        directory = _directory()
        if directory is not None and not self._left:
            self._removals.append(match)
            self._remove(directory, _REMOVAL_WAIT)

    def _remove(self, directory: Path, wait: float) -> None:
        waiting, self._removals = self._removals, []
        try:
            if waiting and directory.exists():
                remove(directory, _any_of(waiting), wait)
        except (OSError, MetricsDirectoryBusyError) as error:
            self._removals = waiting + self._removals
            _log.info("series are not removed now", extra={"why": str(error)})

    def leave(self) -> None:
        """Give up the membership in good order; what was counted stays.

        Later counts go nowhere: the files of who has left may be absorbed and deleted any moment.
        """
        with self.lock:
            self._left = True
            self._to_memory()
            if self._membership is not None:
                self._membership.leave()
                self._membership = None
            self._heartbeat = None

    def after_fork(self) -> None:
        """Begin anew in a child: the parent's files are the parent's to write."""
        self.lock = threading.RLock()
        if self._membership is not None:
            self._membership.forget()
            self._membership = None
        self._heartbeat = None
        self._exemplars = None
        self._states = {}
        self._removals = []
        self._failing = False
        self._troubles = 0
        self._files, self._memory = {}, {}
        for value in self._values:
            self._bind(value)

    def _bind(self, value: "Value") -> None:
        try:
            value.bind(self._place(value))
        except (OSError, MetricsDirectoryBusyError) as error:
            self._fail(str(error))
            value.bind(self._in_memory(value.kind))

    def _place(self, value: "Value") -> ValueFile:
        """Return where the value belongs; one key is never in two places."""
        for files in (self._memory, self._files):
            if value.kind in files and value.key in files[value.kind]:
                return files[value.kind]
        directory = _directory()
        # While it fails, nobody tries again for each value: `check` does, for all of them.
        if directory is None or self._failing or self._left:
            return self._in_memory(value.kind)
        return self._file(value.kind, directory)

    def _in_memory(self, kind: str) -> ValueFile:
        if kind not in self._memory:
            self._memory[kind] = ValueFile(None, kind)
        return self._memory[kind]

    def _file(self, kind: str, directory: Path) -> ValueFile:
        if kind not in self._files:
            place = layout.side_path if kind == NATIVE else layout.values_path
            self._files[kind] = ValueFile(place(directory, kind, self._join(directory).name), kind)
        return self._files[kind]

    def _join(self, directory: Path) -> Membership:
        """Return the membership, whose marker stands and whose heartbeat has a file."""
        if self._membership is None:
            self._membership = Membership(directory)
        if not self._membership.stands:
            # A file without a marker beside it is a dead member's.
            raise FileNotFoundError(f"the marker of this process is gone from {directory}")
        if self._heartbeat is None:
            self._membership.hide(True)
            self._heartbeat = Heartbeat(directory, self._membership.name)
            self._membership.hide(False)
        return self._membership

    def _write_states(self, directory: Path) -> None:
        path = layout.side_path(directory, STATES, self._join(directory).name)
        disk.write(path, encode(self._states))

    def _stands(self, membership: Membership) -> bool:
        heartbeat = self._heartbeat
        return (
            membership.stands
            and (heartbeat is None or heartbeat.stands)
            and all(file.stands for file in list(self._files.values()))
        )

    def _fail(self, why: str) -> None:
        if not self._failing:
            self._failing = True
            self._troubles += 1
            _log.error("telemetry goes quiet: the metrics directory fails", extra={"why": why})

    def _lose(self, membership: Membership) -> None:
        """Let go of files that others do not see any more."""
        with self.lock:
            self._fail("files of this process are gone")
            self._to_memory()
            # What is still there belongs to the dead, now that nobody writes to it.
            membership.leave()
            self._membership = None
            self._heartbeat = None

    def _to_memory(self) -> None:
        """Leave the files: gauges go on, counters begin at 0."""
        self._exemplars = None
        for value in self._values:
            if value.file.shared:
                before = value.numbers
                value.bind(self._in_memory(value.kind))
                if value.kind.startswith("gauge"):
                    value.numbers = before
        self._files = {}

    def _return(self, directory: Path) -> None:
        """Find a place in the directory for all values that are in memory, or leave it at that."""
        try:
            if self._membership is None:
                directory.mkdir(exist_ok=True)
                # Without the lock: no request waits while this waits for the other.
                self._membership = Membership(directory, _RETURN_WAIT)
            with self.lock:
                self._move_in(directory)
        except (OSError, MetricsDirectoryBusyError):
            return
        _log.warning("telemetry is back in the metrics directory")

    def _move_in(self, directory: Path) -> None:
        waiting = [value for value in self._values if not value.file.shared]
        for value in waiting:  # All places first: one that is missing leaves all as it was.
            self._file(value.kind, directory).index(value.key)
        if self._states:
            self._write_states(directory)
        for value in waiting:
            before = value.numbers
            value.bind(self._files[value.kind])
            value.numbers = before
        self._memory = {}
        self._failing = False


def _any_of(wanted: list[Match]) -> Match:
    return lambda name, labels: any(match(name, labels) for match in wanted)


def _directory() -> Path | None:
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return Path(directory) if directory else None


class Value:
    """One value, with the interface that prometheus_client's metrics expect of theirs."""

    _multiprocess = True
    __slots__ = ("__weakref__", "file", "index", "key", "kind")

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
        self.key = mmap_key(metric_name, name, labelnames, labelvalues, help_text)
        store.register(self)

    def bind(self, file: ValueFile) -> None:
        """Take the place in the file; the store calls it, under its lock."""
        self.index = file.index(self.key)
        self.file = file

    @property
    def numbers(self) -> tuple[float, ...]:
        """The value and its time, or all counts; the store asks, under its lock."""
        return tuple(self.file.doubles[self.index : self.index + self.file.width])

    @numbers.setter
    def numbers(self, numbers: tuple[float, ...]) -> None:
        self.file.doubles[self.index : self.index + len(numbers)] = memoryview(array("d", numbers))

    def inc(self, amount: float) -> None:
        with store.lock:
            self.file.doubles[self.index] += amount

    def set(self, value: float, timestamp: float | None = None) -> None:
        with store.lock:
            doubles = self.file.doubles
            doubles[self.index] = value
            if timestamp is not None and not self.file.totals:
                doubles[self.index + 1] = timestamp
            elif self.file.shared and not self.file.totals:
                # A gauge that is removed shows again when it is set, be it to the same.
                doubles[self.index + 1] += 1.0

    def put(self, value: float) -> None:
        """Set the value of a gauge; the caller holds the store's lock, for several at once."""
        self.file.doubles[self.index] = value

    def get(self) -> float:
        with store.lock:
            return self.file.doubles[self.index]

    def set_exemplar(self, exemplar: Any) -> None:
        """Keep the client library's exemplar, where it has room (see `Exemplar.fits`)."""
        store.put_exemplar(self, tuple(exemplar.labels.items()), exemplar.value)

    def get_exemplar(self) -> None:
        """Return None: the scrape reads exemplars from the files, as it reads values."""


store = Store()
os.register_at_fork(after_in_child=store.after_fork)


def install() -> None:
    """Let prometheus_client's metrics keep their values here; call it before declaring one."""
    prometheus_client.values.ValueClass = Value
