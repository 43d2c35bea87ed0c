"""Records of exemplars: one of each bucket or counter, named by the place of its value in a file.

A file is an array of records of one size. A checksum tells a reader that it read in the middle of
a write. Of a value, times never go back: Prometheus drops what is not newer than the last.
"""

import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from struct import Struct
from typing import NamedTuple

KIND = "exemplars"
FILES = ("histogram", "counter")
"""The kinds of files whose values can have one; a record holds the number of its kind."""

Pairs = tuple[tuple[str, str], ...]
"""Labels, each with its value."""

Place = tuple[str, int]
"""The kind of the file, and where in it the value is."""

_CHECKSUM = Struct("=I")
# kind of file and 16 (a release before wrote 0 or 1 there), length of the labels, position of the
# value, value, seconds since 1970, labels
_BODY = Struct("=BB2xqdd140s")
_FORM = 16
SIZE = _CHECKSUM.size + _BODY.size
_MOST_BYTES = 140
_MOST_CHARACTERS = 128
_SEPARATOR = "\x1f"
_ATTEMPTS = 3


class Exemplar(NamedTuple):
    """An observation and where to read about it; `time` is in seconds since 1970."""

    labels: Pairs
    value: float
    time: float

    @property
    def fits(self) -> bool:
        """Whether OpenMetrics 1.0 allows it, 128 characters of names and values at most, and it
        has room in a record: 140 bytes with a separator between any two."""
        texts = [text for pair in self.labels for text in pair]
        return (
            bool(texts)
            and all(texts)
            and sum(map(len, texts)) <= _MOST_CHARACTERS
            and len(_joined(self.labels)) <= _MOST_BYTES
            and not any(_SEPARATOR in text for text in texts)
        )

    @property
    def milliseconds(self) -> int:
        """The time as precisely as Prometheus keeps it; what is shown has no more, so that both
        agree on which of two is newer."""
        return int(self.time * 1000)

    def follows(self, other: "Exemplar | None") -> bool:
        """Whether it takes the place of another one: Prometheus would take it after that.

        Of two in one millisecond the earlier stays, since it may have been shown already.
        """
        if other is None or self.milliseconds != other.milliseconds:
            return other is None or self.milliseconds > other.milliseconds
        return self.time < other.time


def packed(place: Place, exemplar: Exemplar) -> bytes:
    """Return the record of the value at `place`."""
    kind, position = place
    encoded = _joined(exemplar.labels)
    number = _FORM + FILES.index(kind)
    body = _BODY.pack(number, len(encoded), position, exemplar.value, exemplar.time, encoded)
    return _CHECKSUM.pack(zlib.crc32(body)) + body


def file_of(exemplars: Mapping[Place, Exemplar]) -> bytes:
    """Return the content of a file with these exemplars, by place."""
    return b"".join(packed(place, exemplar) for place, exemplar in exemplars.items())


def read(path: Path) -> dict[Place, Exemplar]:
    """Return the exemplars of a file by place; again where a write came in between.

    Without that a bucket would show another process's older one. Raises: OSError.
    """
    found: dict[Place, Exemplar] = {}
    for _ in range(_ATTEMPTS):
        records = list(_records(path.read_bytes()))
        found = dict(record for record in records if record is not None)
        if None not in records:
            break
    return found


def _records(data: bytes) -> Iterator[tuple[Place, Exemplar] | None]:
    """Yield each record, None for one that is torn."""
    for offset in range(0, len(data) - SIZE + 1, SIZE):
        (checksum,) = _CHECKSUM.unpack_from(data, offset)
        body = data[offset + _CHECKSUM.size : offset + SIZE]
        number, length, position, value, time, encoded = _BODY.unpack(body)
        if length == 0:
            return  # never written, like all that follow
        labels = _split(encoded[:length]) if checksum == zlib.crc32(body) else None
        kind = number - _FORM
        if labels and 0 <= kind < len(FILES):
            yield (FILES[kind], position), Exemplar(labels, value, time)
        else:
            yield None


def _joined(labels: Pairs) -> bytes:
    return _SEPARATOR.join(text for pair in labels for text in pair).encode(errors="replace")


def _split(encoded: bytes) -> Pairs | None:
    """Return the labels of a record; None where they are no labels."""
    try:
        texts = encoded.decode().split(_SEPARATOR)
    except UnicodeDecodeError:
        return None
    return tuple(zip(texts[::2], texts[1::2], strict=True)) if len(texts) % 2 == 0 else None
