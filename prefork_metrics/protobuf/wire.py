"""Fields of protocol buffers, as bytes: as much of the encoding as metrics need.

A field is its number and a wire type in one varint, then its value. A message is its fields, one
behind the other. Zeros are written too: in the messages of metrics a field that is left out is
another thing than one that is 0.
"""

from collections.abc import Iterable
from struct import Struct

_VARINT, _FIXED, _BYTES = 0, 1, 2
_DOUBLE = Struct("<d")
_NANOSECONDS = 1_000_000_000


def varint(number: int) -> bytes:
    """Return a number of 64 bits, 7 bits a byte; one below 0 as its two's complement."""
    number &= (1 << 64) - 1
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def zigzag(number: int) -> int:
    """Return what stands for a signed number, small for those near 0."""
    return (number << 1) ^ (number >> 63)


def integer(field: int, number: int) -> bytes:
    return varint(field << 3 | _VARINT) + varint(number)


def double(field: int, number: float) -> bytes:
    return varint(field << 3 | _FIXED) + _DOUBLE.pack(number)


def message(field: int, content: bytes) -> bytes:
    """Return a field of bytes: a message within, a text, packed numbers."""
    return varint(field << 3 | _BYTES) + varint(len(content)) + content


def text(field: int, content: str) -> bytes:
    return message(field, content.encode())


def packed(field: int, numbers: Iterable[int]) -> bytes:
    return message(field, b"".join(map(varint, numbers)))


def timestamp(field: int, seconds: float) -> bytes:
    """Return a time since 1970: whole seconds and nanoseconds, to the microsecond."""
    whole, rest = divmod(round(seconds * 1_000_000), 1_000_000)
    return message(field, integer(1, whole) + integer(2, rest * (_NANOSECONDS // 1_000_000)))
