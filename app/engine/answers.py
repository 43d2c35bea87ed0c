"""Docker's JSON answers: taken apart where they come in pieces, and refused where they are odd."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from app.core.errors import EngineError
from app.core.unreadable import UNREADABLE

# Longer messages are no messages of Docker; without a bound they would fill the memory.
_MESSAGE_LIMIT = 1024 * 1024


@contextmanager
def describing(what: str) -> Iterator[None]:
    """Raise EngineError where an answer about `what` is not made as expected."""
    try:
        yield
    except UNREADABLE as error:
        raise EngineError(f"Docker Engine described {what} in an unknown way.") from error


class LineSplitter:
    """Takes a stream of lines apart that comes in pieces of any size, and holds no endless one."""

    def __init__(self) -> None:
        self._rest = b""
        self._overlong = False

    def feed(self, data: bytes) -> list[bytes | None]:
        """Return the lines that are whole now, those that are no blank; None for an overlong one.

        An overlong line is told of at its end, or where the next one begins.
        """
        *ends, self._rest = (self._rest + data).split(b"\n")
        lines: list[bytes | None] = []
        for line in ends:
            if self._overlong or len(line) > _MESSAGE_LIMIT:
                lines.append(None)
            elif line.strip():
                lines.append(line)
            self._overlong = False
        if len(self._rest) > _MESSAGE_LIMIT:
            self._overlong, self._rest = True, b""
        return lines

    @property
    def is_in_overlong(self) -> bool:
        """Whether a line goes on that is longer than any message."""
        return self._overlong


def message_of(line: bytes) -> dict[str, Any]:
    """Return the JSON object in a line. Raises: ValueError, TypeError."""
    message = json.loads(line)
    if not isinstance(message, dict):
        raise TypeError("not an object")
    return message


class MessageSplitter:
    """Takes a stream of JSON objects apart, one to a line, that comes in pieces of any size."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._lines = LineSplitter()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Return the messages that are whole now. Raises EngineError for what is no message."""
        lines = self._lines.feed(data)
        with describing(self._what):
            if None in lines or self._lines.is_in_overlong:
                raise ValueError("a message without an end")
            return [message_of(line) for line in lines if line is not None]
