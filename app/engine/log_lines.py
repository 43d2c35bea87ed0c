"""A container's log: Docker's frames, each of which is one record with its timestamp.

A record is `<time> <text>`, where the time has nine digits behind the dot, so that it can be read
without a parser of dates for each of a hundred thousand lines. The text ends with a newline unless
the line goes on in the next record.
"""

from datetime import datetime
from typing import Literal

from app.core.errors import EngineError
from app.engine.answers import describing
from app.engine.frames import ENGINE_ERROR, HEADER, STDERR, STDOUT
from app.engine.values import LogLine

# Docker splits lines at 16 KiB. What claims to be much longer is no frame at all.
_FRAME_LIMIT = 1024 * 1024

_SECOND = 19  # length of 2026-01-31T12:00:00
_FRACTION = slice(20, 29)
_ZONE = slice(29, None)

_STREAMS: dict[int, Literal["stdout", "stderr"]] = {STDOUT: "stdout", STDERR: "stderr"}


class LogDecoder:
    """Makes lines of what GET /containers/{id}/logs sends, in pieces of any size."""

    def __init__(self) -> None:
        self._rest = b""
        self._second = b""
        self._second_ns = 0

    def feed(self, data: bytes) -> list[LogLine]:
        """Return the lines that are whole now. Raises EngineError for what is no line."""
        buffer = self._rest + data
        lines, start = [], 0
        with describing("a log"):
            while len(buffer) - start >= HEADER.size:
                stream, length = HEADER.unpack_from(buffer, start)
                if length > _FRAME_LIMIT:
                    raise ValueError("a frame that is too long")
                end = start + HEADER.size + length
                if end > len(buffer):
                    break
                lines.append(self._line(stream, buffer[start + HEADER.size : end]))
                start = end
        self._rest = buffer[start:]
        return lines

    def _line(self, stream: int, record: bytes) -> LogLine:
        if stream == ENGINE_ERROR:
            raise EngineError("Docker Engine cannot read the container's log any further.")
        time, _, text = record.partition(b" ")
        whole = text.endswith(b"\n")
        return LogLine(
            _STREAMS[stream], self._nanoseconds(time), text[:-1] if whole else text, not whole
        )

    def _nanoseconds(self, time: bytes) -> int:
        second = time[:_SECOND] + time[_ZONE]
        if second != self._second:
            moment = datetime.fromisoformat(second.decode())
            self._second_ns = int(moment.timestamp()) * 1_000_000_000
            self._second = second
        return self._second_ns + int(time[_FRACTION])
