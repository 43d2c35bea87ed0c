"""A zip archive (APPNOTE.TXT of PKWARE), as far as a package of VS Code needs one. No I/O.

Not by `zipfile`, which makes an object of each entry before anything can be asked: an archive of
700,000 empty ones costs it seconds and hundreds of MiB. Here an entry costs a microsecond, there is
a number of them that no extension needs, and what is not expected is refused.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

MOST_ENTRIES = 20_000
"""The largest extensions of the gallery have some thousand files."""

_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 0x1
_END = struct.Struct("<4s4H2LH")  # 4.3.16, end of central directory record
_ENTRY = struct.Struct("<4s6H3L5H2L")  # 4.3.12, central directory header
_LOCAL = struct.Struct("<4s5H3L2H")  # 4.3.7, local file header
_END_MARK, _ENTRY_MARK, _LOCAL_MARK = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
_ZIP64_MARK, _ZIP64_SIZE = b"PK\x06\x07", 20
_LONGEST_COMMENT = 0xFFFF


class ArchiveError(Exception):
    """It is no archive that a package may be; the text says why."""


class Entry(NamedTuple):
    """A file in the archive; sizes in bytes, `offset` is that of its local header."""

    name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int


def entries(content: bytes) -> Iterator[Entry]:
    """Yield what the central directory lists. Raises: ArchiveError."""
    number, place, shift = _directory(content)
    if number > MOST_ENTRIES:
        raise ArchiveError(f"holds more than {MOST_ENTRIES} files")
    for _ in range(number):
        if content[place : place + 4] != _ENTRY_MARK or place + _ENTRY.size > len(content):
            raise ArchiveError("has a directory that cannot be read")
        fields = _ENTRY.unpack_from(content, place)
        _, _, _, flags, method, _, _, crc, packed, size, name, extra, comment, *_, offset = fields
        begins = place + _ENTRY.size
        place = begins + name + extra + comment
        yield Entry(
            content[begins : begins + name], flags, method, crc, packed, size, offset + shift
        )


def read(content: bytes, entry: Entry, most: int) -> bytes:
    """Return what is in an entry. Raises: ArchiveError, also where that is more than `most`."""
    if entry.flags & _ENCRYPTED or entry.method not in (_STORED, _DEFLATED):
        raise ArchiveError("is packed in a way that VS Code does not read")
    header = content[entry.offset : entry.offset + _LOCAL.size]
    if len(header) < _LOCAL.size or not header.startswith(_LOCAL_MARK):
        raise ArchiveError("names a file that is not in it")
    *_, name, extra = _LOCAL.unpack(header)
    begins = entry.offset + _LOCAL.size + name + extra
    packed = memoryview(content)[begins : begins + entry.packed]
    if entry.method == _STORED:
        text = bytes(packed[: most + 1])
    else:
        try:
            text = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, most + 1)
        except zlib.error:
            raise ArchiveError("holds a file that cannot be unpacked") from None
    if len(text) > most:
        raise ArchiveError(f"has a manifest of more than {most // 2**20} MiB")
    if zlib.crc32(text) != entry.crc:
        raise ArchiveError("holds a file that is damaged")
    return text


def _directory(content: bytes) -> tuple[int, int, int]:
    """Return the number of entries, where they begin, and by how much their offsets are wrong.

    The last is what stands before the archive itself, as before one that unpacks itself.
    """
    place = content.rfind(_END_MARK, max(0, len(content) - _END.size - _LONGEST_COMMENT))
    if place < 0 or place + _END.size > len(content):
        raise ArchiveError("is no zip archive that can be read")
    _, disk, first_disk, here, number, size, offset, comment = _END.unpack_from(content, place)
    whole = place + _END.size + comment == len(content)
    zip64 = content[max(0, place - _ZIP64_SIZE) : place].startswith(_ZIP64_MARK)
    begins = place - size
    if not whole or zip64 or disk or first_disk or here != number or begins < offset:
        raise ArchiveError("is no zip archive that can be read")
    return number, begins, begins - offset
