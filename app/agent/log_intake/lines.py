"""Lines as they are stored: joined from Docker's pieces, bounded, and of text a database takes.

Docker splits what is longer than 16 KiB into pieces that have one time. A piece that was followed
by nothing of its time (the container ended without a newline) is a line as well.
"""

from typing import NamedTuple

from app.engine import LogLine

LINE_LIMIT = 64 * 1024
"""Bytes of a line that are kept."""

CUT = " [cut by VibeBox: the line is longer than 64 KiB]"

OVERHEAD = 64
"""Bytes that a line counts for beside its text, so that empty lines are not free of charge."""


class Line(NamedTuple):
    """One whole line; `size` is what it counts for in the environment's share of the storage."""

    stream: str
    at_ns: int
    text: str
    size: int


def line_of(stream: str, at_ns: int, raw: bytes, *, cut: bool = False) -> Line:
    """Return the line with U+FFFD for NUL, which PostgreSQL cannot store, and for what is no UTF-8.

    `cut` says that its end is missing already.
    """
    cut = cut or len(raw) > LINE_LIMIT
    text = raw[:LINE_LIMIT].decode("utf-8", "replace")
    if "\0" in text:
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if cut:
        text += CUT
    length = len(text) if text.isascii() else len(text.encode())
    return Line(stream, at_ns, text, length + OVERHEAD)


class Joiner:
    """Makes whole lines of the records of one reading."""

    def __init__(self) -> None:
        self._begun: dict[str, _Begun] = {}

    def feed(self, record: LogLine) -> list[Line]:
        """Return the lines that are whole now: none while one goes on, two after an open end."""
        begun = self._begun.pop(record.stream, None) if self._begun else None
        if begun is None and not record.partial:
            return [line_of(record.stream, record.at_ns, record.text)]
        lines = []
        if begun is not None and begun.at_ns != record.at_ns:
            lines.append(begun.line())
            begun = None
        begun = begun or _Begun(record.stream, record.at_ns)
        begun.add(record.text)
        if record.partial:
            self._begun[record.stream] = begun
        else:
            lines.append(begun.line())
        return lines

    def rest(self) -> list[Line]:
        """Return what was begun and will not go on, since the container has ended."""
        lines = [begun.line() for begun in self._begun.values()]
        self._begun.clear()
        return lines


class _Begun:
    """A line whose end is yet to come; it holds no more than what is kept of it."""

    def __init__(self, stream: str, at_ns: int) -> None:
        self.at_ns = at_ns
        self._stream = stream
        self._raw = bytearray()
        self._cut = False

    def add(self, piece: bytes) -> None:
        room = LINE_LIMIT - len(self._raw)
        self._raw += piece[:room]
        self._cut = self._cut or len(piece) > room

    def line(self) -> Line:
        return line_of(self._stream, self.at_ns, bytes(self._raw), cut=self._cut)
