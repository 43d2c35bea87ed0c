"""Exemplars: for each bucket of a histogram a request that fell into it, kept beside the values.

The client library's file format has no place for them, so each process has one more file. It is an
array of records of one size; each names its bucket by the place of the bucket's value in the
process's file of histograms. A checksum tells a reader that it read in the middle of a write; that
bucket then has no exemplar in that scrape. A process's exemplars go when the process goes: they
point to logs, and Prometheus keeps those that it has seen.

OpenMetrics 1.0, "Exemplars": the names and values of the labels have 128 characters at most.
"""

import logging
import mmap
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import NamedTuple

from app.logging import request_id, trace_id
from app.telemetry.directory import disk

KIND = "exemplars"
LABELS = ("trace_id", "request_id")
"""A record holds the number of its label."""

_CHECKSUM = Struct("=I")
# label, length of the id, position of the bucket's value, value, seconds since 1970, id
_BODY = Struct("=BB2xqdd120s")
_SIZE = _CHECKSUM.size + _BODY.size
_MAX_CHARACTERS = 128
_INITIAL_RECORDS = 64
_access_log = logging.getLogger("app.access")
_ID = re.compile(rb"[A-Za-z0-9._-]{1,120}")


class Exemplar(NamedTuple):
    """An observation and where to read about it; `time` is in seconds since 1970."""

    label: str
    id: str
    value: float
    time: float

    @property
    def fits(self) -> bool:
        """Whether OpenMetrics allows it."""
        return 0 < len(self.id) <= _MAX_CHARACTERS - len(self.label)


class ExemplarFile:
    """The exemplars of this process; callers take turns."""

    def __init__(self, path: Path) -> None:
        """Map the file. Raises: OSError."""
        self._path = path
        self._offsets: dict[int, int] = {}
        self._map(_INITIAL_RECORDS * _SIZE)

    def put(self, position: int, exemplar: Exemplar) -> None:
        """Keep the exemplar of the bucket whose value is at `position`. Raises: OSError."""
        offset = self._offsets.get(position)
        if offset is None:
            offset = len(self._offsets) * _SIZE
            if offset + _SIZE > len(self._bytes):
                self._map(2 * len(self._bytes))
            self._offsets[position] = offset
        encoded = exemplar.id.encode("ascii")
        label = LABELS.index(exemplar.label)
        body = _BODY.pack(label, len(encoded), position, exemplar.value, exemplar.time, encoded)
        self._bytes[offset : offset + _SIZE] = _CHECKSUM.pack(zlib.crc32(body)) + body

    def _map(self, size: int) -> None:
        self._bytes: mmap.mmap = disk.mapped(self._path, size)


def of_request() -> dict[str, str] | None:
    """Return the label of an exemplar that leads to the request being handled.

    None outside a request, where the label would be too long, and where no line would be found.
    """
    for label, variable in (("trace_id", trace_id), ("request_id", request_id)):
        if id := variable.get():
            fits = Exemplar(label, id, 0.0, 0.0).fits and _access_log.isEnabledFor(logging.INFO)
            return {label: id} if fits else None
    return None


def read(path: Path) -> dict[int, Exemplar]:
    """Return the exemplars of a file by position. Raises: OSError."""
    return dict(_records(path.read_bytes()))


def _records(data: bytes) -> Iterator[tuple[int, Exemplar]]:
    for offset in range(0, len(data) - _SIZE + 1, _SIZE):
        (checksum,) = _CHECKSUM.unpack_from(data, offset)
        body = data[offset + _CHECKSUM.size : offset + _SIZE]
        label, length, position, value, time, encoded = _BODY.unpack(body)
        if length == 0:
            return  # never written, like all that follow
        known = label < len(LABELS) and _ID.fullmatch(encoded, 0, length)
        if known and checksum == zlib.crc32(body):
            id = encoded[:length].decode("ascii")
            yield position, Exemplar(LABELS[label], id, value, time)
