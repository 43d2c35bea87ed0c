"""Counts of native histograms: of each series one array, in a file beside the values.

A file begins as one of values does (see `codec`): its used size, then entries of key and numbers,
of which there are as many as buckets, and no time. All processes have the same buckets, so
that merging is the addition of whole numbers. The buckets are those of schema 3: each is by
2^(1/8), 9 %, wider than the one before, so that a quantile between its bounds is off by 4.5 % at
most. The first array place counts what is not above the least bound, the last what is above all.
"""

import json
from array import array
from collections.abc import Iterator, Mapping
from operator import add
from pathlib import Path
from struct import Struct, error

from prefork_metrics.directory import disk

KIND = "native"
SCHEMA = 3
LEAST, MOST = -20, 12
"""Exponents of 2 of the least bound (0.95 µs) and of the greatest (68 min)."""
BOUNDS = tuple(2.0 ** (LEAST + number / 2**SCHEMA) for number in range((MOST - LEAST) * 8 + 1))
PLACES = len(BOUNDS) + 1

Counts = list[float]
_HEADER = 8
_LENGTH = Struct("i")
_SIZE = 8 * PLACES
# Beyond, a double does not tell one from two any more.
_MOST_COUNTED = 2.0**53


def read(path: Path) -> dict[str, Counts]:
    """Return the counts of each series, by key; of a file that is spoilt as much as is good.

    Raises: OSError.
    """
    return dict(records(disk.read(path)))


def records(data: bytes) -> Iterator[tuple[str, Counts]]:
    """Yield key and counts of each entry, up to what cannot be right."""
    try:
        (used,) = _LENGTH.unpack_from(data)
        position = _HEADER
        while position < min(used, len(data)):
            (length,) = _LENGTH.unpack_from(data, position)
            numbers = position + _LENGTH.size + _padded(length)
            position = numbers + _SIZE
            if length <= 0 or position > min(used, len(data)):
                return
            start = numbers - _padded(length)
            key = data[start : start + length].decode()
            yield key, array("d", data[numbers:position]).tolist()
    except (error, ValueError):
        return


def encode(found: Mapping[str, Counts]) -> bytes:
    """Return the content of a file with these counts, by key."""
    parts = [b""]
    for key, counts in found.items():
        encoded = key.encode()
        padding = b" " * (_padded(len(encoded)) - len(encoded))
        parts += [_LENGTH.pack(len(encoded)), encoded, padding, array("d", counts).tobytes()]
    used = _HEADER + sum(map(len, parts))
    parts[0] = _LENGTH.pack(used) + bytes(_HEADER - _LENGTH.size)
    return b"".join(parts)


def merge(into: dict[str, Counts], found: Mapping[str, Counts]) -> None:
    """Add the counts of each key."""
    for key, counts in found.items():
        known = into.get(key)
        into[key] = counts if known is None else list(map(add, known, counts))


def without(found: dict[str, Counts], before: Mapping[str, Mapping[int, float]]) -> None:
    """Take off what had been counted when series were removed, by key and place."""
    for key, counted in before.items():
        for place, number in counted.items():
            if key in found and place < PLACES:
                found[key][place] -= number


def sparse(counts: Counts) -> dict[int, float]:
    """Return the counts that are not 0, by place."""
    return {place: number for place, number in enumerate(counts) if number}


def is_key(key: str) -> bool:
    """Tell whether it is a key as we write them: family, family, labels, nothing."""
    try:
        family, _, labels, _ = json.loads(key)
    except (ValueError, TypeError, RecursionError):
        return False
    if not (isinstance(family, str) and isinstance(labels, dict)):
        return False
    return all(isinstance(text, str) for text in labels.values())


def are_counts(numbers: Counts) -> bool:
    """Tell whether they can be counts, whatever wrote the file that they come from."""
    return min(numbers) >= 0 and 0 <= sum(numbers) < _MOST_COUNTED


def _padded(length: int) -> int:
    return length + 8 - (length + _LENGTH.size) % 8
