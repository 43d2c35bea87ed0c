"""One file of the metrics directory, whose keys are parsed once.

The format is the client library's (`prometheus_client/mmap_dict.py`), in native byte order:

    int32  used size of the file in bytes, these 8 bytes included
    4 bytes of padding, then entries, each a multiple of 8 bytes:
        int32   length of the key
        key     UTF-8 JSON: [family, sample name, {label: value}, help], padded with 1 to 8 blanks
        double  value
        double  timestamp

A writer completes an entry before it raises the used size, and never moves one. So the used size is
read first, what lies behind it is ignored, and the entries below the last used size are known.
The file is read, not mapped: a mapping of a file that someone truncates ends in SIGBUS.
"""

import os
import stat
from array import array
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from struct import Struct

from prometheus_client.core import Metric

from prefork_metrics.aggregation.keys import BadFileError, Key, Keys
from prefork_metrics.aggregation.left_out import LeftOut
from prefork_metrics.directory.removed import Before

KINDS = frozenset({"counter", "gauge", "histogram", "summary"})
_HEADER = 8
_INTEGER = Struct("i")
_TIME = Struct("d")
# More anchors find a swapped file more surely; each costs 0.1 µs per file and scrape.
_ANCHORS = 16


class Source:
    """What is known of one file: its `keys` in the file's order, and the `families` they belong to.

    Attributes: kind, mode and member, from the file's name (mode and member for gauges only);
    paired: whether `read` gives the timestamps too; positions: where in the file each value is;
    version: grows whenever the keys change. After a BadFileError the object must be dropped.
    """

    def __init__(
        self, path: Path, known: Keys, is_archive: bool = False, name: str | None = None
    ) -> None:
        """Raises: BadFileError where the name is none of the client library's."""
        self.path = path
        self.kind, self.mode, self.member = _parts(name or path.name)
        self.is_archive = is_archive
        # What was read last: most files of an idle service say the same again, and comparing them
        # costs next to nothing.
        self._content = b""
        self._shown: tuple[float, ...] = ()
        self.paired = is_archive or self.kind == "gauge"
        self.version = 0
        self._known = known
        self._identity = (0, 0)
        self._left_out: LeftOut | None = None
        self._parsed = 0
        self._forget()

    @property
    def all_keys(self) -> list[Key]:
        """The keys of what is left out too."""
        return self._keys

    def times(self) -> list[float]:
        """Return the time of each value of `keys`, as it was read last."""
        return [_TIME.unpack_from(self._content, at + _TIME.size)[0] for at in self.positions]

    def leave_out(self, before: Before | None) -> None:
        """Have `read` leave out what had been counted when series were removed."""
        if before is not (self._left_out.before if self._left_out else None):
            self._left_out = LeftOut(before, self._known) if before else None
            self._forget()

    def read(self, buffer: bytearray) -> tuple[float, ...]:
        """Return the values, in the order of `keys`; if `paired`, value and timestamp by turns.

        `buffer` is scratch space for many files, and grows as needed.
        Raises: BadFileError, FileNotFoundError and other OSErrors.
        """
        used, identity = _load(self.path, buffer, self._used)
        if used == len(self._content) and buffer.startswith(self._content):
            return self._shown
        if self._used > _HEADER and not self._is_continued(identity, used, buffer):
            self._forget()
        self._identity = identity
        if used > self._used:
            self._parse(buffer, used)
        self._content = bytes(memoryview(buffer)[:used])
        self._shown = self._values.unpack_from(buffer)
        if self._left_out is not None:
            self._shown = self._without(self._left_out, self._shown)
        return self._shown

    def _without(self, left_out: LeftOut, values: tuple[float, ...]) -> tuple[float, ...]:
        """Return the values that are shown, and have `keys` and the rest tell of those alone."""
        shown, changed = left_out.apply(self._keys, values, self.paired)
        if changed or self._parsed != self.version:
            self.version += changed
            self._parsed = self.version
            self.keys = [self._keys[number] for number in left_out.shown]
            self.positions = array("q", (self._positions[number] for number in left_out.shown))
            self.families = {key.family: key.help for key in self.keys}
        return shown

    def _forget(self) -> None:
        self.version += 1
        self._parsed = 0
        # What there is; `keys`, `positions` and `families` tell of what is shown.
        self._keys: list[Key] = []
        self._positions = array("q")
        self._checked: dict[str, str] = {}
        self.keys, self.positions, self.families = self._keys, self._positions, self._checked
        self._used = _HEADER
        self._values = _compiled(f"{_HEADER}x")
        self._anchors: list[tuple[int, bytes]] = []
        self._content = b""

    def _is_continued(self, identity: tuple[int, int], used: int, buffer: bytearray) -> bool:
        # The kernel may give an inode's number to the next file of the same name: so some keys
        # are compared too, with their lengths.
        return (
            identity == self._identity
            and used >= self._used
            and all(buffer.startswith(anchor, start) for start, anchor in self._anchors)
        )

    def _parse(self, buffer: bytearray, used: int) -> None:
        entry = "xdd" if self.paired else "xd8x"
        places = [self._values.format]
        anchors = list(self._anchors)
        end = self._used
        for raw, position in _entries(buffer, self._used, used):
            key = self._known.parse(raw)
            self._check(key)
            self._keys.append(key)
            self._positions.append(position)
            places.append(f"{position - end}{entry}")
            anchors.append((end, _INTEGER.pack(len(raw)) + raw))
            end = position + 16
        self._values = _compiled("".join(places))
        self._anchors = anchors[:: max(1, len(anchors) // _ANCHORS)] + anchors[-1:]
        self._used = used
        self.version += 1

    def _check(self, key: Key) -> None:
        if self.kind == "histogram" and key.bound is not None and key.bound != key.bound:
            raise BadFileError("garbled: a bucket's bound is no number")
        if key.family not in self._checked:
            try:
                Metric(key.family, key.help, self.kind)
            except ValueError as error:
                raise BadFileError(f"garbled: {error}") from error
            self._checked[key.family] = key.help


def _parts(name: str) -> tuple[str, str, str]:
    """Return kind, mode and member; the last two are empty but for gauges."""
    parts = name.split("_")
    if parts[0] not in KINDS or len(parts) < (3 if parts[0] == "gauge" else 2):
        raise BadFileError("not a name of a metrics file")
    if parts[0] != "gauge":
        return parts[0], "", ""
    return parts[0], parts[1], parts[2].removesuffix(".db")


def _load(path: Path, buffer: bytearray, expected: int) -> tuple[int, tuple[int, int]]:
    """Read the used part of the file into `buffer`; return its size, and whose it is.

    expected: the size, if nothing was added; then one read does.
    """
    # Without O_NONBLOCK a FIFO under such a name would hold up the scrape for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise BadFileError("not a regular file")
        got = _fill(buffer, descriptor, expected)
        if got < _INTEGER.size:
            raise BadFileError("truncated" if got else "empty")
        (used,) = _INTEGER.unpack_from(buffer)
        # 0: its owner died, or is, between sizing the file and writing the first entry.
        if used < 0 or used % 8:
            raise BadFileError("garbled: impossible used size")
        used = max(used, _HEADER)
        if used > status.st_size:
            raise BadFileError("truncated")
        if used > expected:
            got = _fill(buffer, descriptor, used)
        if got < used:
            raise BadFileError("truncated")
        return used, (status.st_dev, status.st_ino)
    finally:
        os.close(descriptor)


def _fill(buffer: bytearray, descriptor: int, size: int) -> int:
    """Read that many bytes from the file's beginning; return how many there were."""
    if len(buffer) < size:
        buffer.extend(bytes(size - len(buffer)))
    with memoryview(buffer) as whole, whole[:size] as part:
        return os.preadv(descriptor, [part], 0)


def _entries(buffer: bytearray, start: int, used: int) -> Iterator[tuple[bytes, int]]:
    """Give key and position of the value of each entry in buffer[start:used]."""
    position = start
    while position < used:
        (length,) = _INTEGER.unpack_from(buffer, position)
        position += _INTEGER.size
        value = position + length + 8 - (length + 4) % 8
        if length <= 0 or value + 16 > used:
            raise BadFileError("garbled: an entry ends beyond the used size")
        yield bytes(buffer[position : position + length]), value
        position = value + 16


@lru_cache(maxsize=32)
def _compiled(places: str) -> Struct:
    # Workers create their series in one order: their files share one object of 32 bytes per entry.
    return Struct(places)
