"""Messages, put together from the frames of a peer."""

import logging

from websockets.frames import Frame, Opcode

Message = str | bytes
"""A text message or a binary one."""

LARGEST_MESSAGE = 1024 * 1024
"""Bytes of a message that a peer may send, which are held until it is whole. Whoever pastes more
into a terminal sends several: only the order of the bytes counts there."""

# The library tells of each connection's end; our own line does, with what we know of it.
QUIET = logging.getLogger("app.web.websockets.protocol")
QUIET.setLevel(logging.WARNING)


class Assembly:
    """Joins fragments (RFC 6455, 5.4); the protocol has checked order and size."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._is_text = False

    def feed(self, frame: Frame) -> Message | None:
        """Return the message that this frame completes. Raises: UnicodeDecodeError."""
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return None
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return None
        whole = b"".join(self._parts)
        self._parts.clear()
        return whole.decode() if self._is_text else whole
