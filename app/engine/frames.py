"""Docker's multiplexed output, taken apart.

Each frame is a header of eight bytes (stream number, three zero bytes, length as a big-endian
32-bit number) and the payload. Streams: 1 stdout, 2 stderr, 3 an error of the engine itself.
"""

import struct

HEADER = struct.Struct(">BxxxL")
STDOUT = 1
STDERR = 2
ENGINE_ERROR = 3

OUTPUT_LIMIT = 1024 * 1024
"""Bytes kept of each stream. More lets a command fill more of a worker's memory."""


class FrameSplitter:
    """Collects the first `limit` bytes of each stream; `truncated` once bytes were dropped."""

    def __init__(self, limit: int = OUTPUT_LIMIT) -> None:
        self._limit = limit
        self._header = b""
        self._stream = 0
        self._left = 0
        self._kept: dict[int, bytearray] = {}
        self.truncated = False

    def feed(self, data: bytes) -> None:
        """Take in what came from the engine, in pieces of any size."""
        view = memoryview(data)
        while view:
            if self._left:
                payload, view = view[: self._left], view[self._left :]
                self._left -= len(payload)
                self._keep(payload)
            else:
                missing = HEADER.size - len(self._header)
                self._header += view[:missing]
                view = view[missing:]
                if len(self._header) == HEADER.size:
                    self._stream, self._left = HEADER.unpack(self._header)
                    self._header = b""

    @property
    def stdout(self) -> bytes:
        """What the command wrote to its standard output."""
        return bytes(self._kept.get(STDOUT, b""))

    @property
    def stderr(self) -> bytes:
        """What the command wrote to its standard error."""
        return bytes(self._kept.get(STDERR, b""))

    @property
    def engine_error(self) -> bytes:
        """What the engine said in place of the command."""
        return bytes(self._kept.get(ENGINE_ERROR, b""))

    def _keep(self, payload: memoryview) -> None:
        kept = self._kept.setdefault(self._stream, bytearray())
        room = self._limit - len(kept)
        kept += payload[:room]
        if len(payload) > room:
            self.truncated = True
