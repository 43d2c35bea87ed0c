"""Records of exemplars: one of each bucket, named by the place of its value in a histogram file.

A file is an array of records of one size. A checksum tells a reader that it read in the middle of
a write. Of a bucket, times never go back: Prometheus drops what is not newer than the last.
"""

import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from struct import Struct
from typing import NamedTuple

KIND = "exemplars"
LABELS = ("trace_id", "request_id")
"""A record holds the number of its label."""

_CHECKSUM = Struct("=I")
# label, length of the id, position of the bucket's value, value, seconds since 1970, id
_BODY = Struct("=BB2xqdd120s")
SIZE = _CHECKSUM.size + _BODY.size
_MAX_CHARACTERS = 128
_ID = re.compile(rb"[A-Za-z0-9._-]{1,120}")
_ATTEMPTS = 3


class Exemplar(NamedTuple):
    """An observation and where to read about it; `time` is in seconds since 1970."""

    label: str
    id: str
    value: float
    time: float

    @property
    def fits(self) -> bool:
        """Whether OpenMetrics 1.0 allows it: 128 characters of label and id at most."""
        return 0 < len(self.id) <= _MAX_CHARACTERS - len(self.label)

    @property
    def milliseconds(self) -> int:
        """The time as precisely as Prometheus keeps it."""
        return round(self.time * 1000)

    def follows(self, other: "Exemplar | None") -> bool:
        """Whether it takes the place of another one: Prometheus would take it after that.

        Of two in one millisecond the earlier stays, since it may have been shown already.
        """
        if other is None or self.milliseconds != other.milliseconds:
            return other is None or self.milliseconds > other.milliseconds
        return self.time < other.time


def packed(position: int, exemplar: Exemplar) -> bytes:
    """Return the record of the bucket whose value is at `position`."""
    encoded = exemplar.id.encode("ascii")
    label = LABELS.index(exemplar.label)
    body = _BODY.pack(label, len(encoded), position, exemplar.value, exemplar.time, encoded)
    return _CHECKSUM.pack(zlib.crc32(body)) + body


def file_of(exemplars: Mapping[int, Exemplar]) -> bytes:
    """Return the content of a file with these exemplars, by position."""
    return b"".join(packed(position, exemplar) for position, exemplar in exemplars.items())


def read(path: Path) -> dict[int, Exemplar]:
    """Return the exemplars of a file by position; again where a write came in between.

    Without that a bucket would show another process's older one. Raises: OSError.
    """
    found: dict[int, Exemplar] = {}
    for _ in range(_ATTEMPTS):
        records = list(_records(path.read_bytes()))
        found = dict(record for record in records if record is not None)
        if None not in records:
            break
    return found


def _records(data: bytes) -> Iterator[tuple[int, Exemplar] | None]:
    """Yield each record, None for one that is torn."""
    for offset in range(0, len(data) - SIZE + 1, SIZE):
        (checksum,) = _CHECKSUM.unpack_from(data, offset)
        body = data[offset + _CHECKSUM.size : offset + SIZE]
        label, length, position, value, time, encoded = _BODY.unpack(body)
        if length == 0:
            return  # never written, like all that follow
        known = label < len(LABELS) and _ID.fullmatch(encoded, 0, length)
        if known and checksum == zlib.crc32(body):
            id = encoded[:length].decode("ascii")
            yield position, Exemplar(LABELS[label], id, value, time)
        else:
            yield None
