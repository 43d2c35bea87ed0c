"""Docker's JSON answers: taken apart where they come in pieces, and refused where they are odd."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from app.errors import EngineError

# Longer messages are no messages of Docker; without a bound they would fill the memory.
_MESSAGE_LIMIT = 1024 * 1024


@contextmanager
def describing(what: str) -> Iterator[None]:
    """Raise EngineError where an answer about `what` is not made as expected."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EngineError(f"Docker Engine described {what} in an unknown way.") from error


class MessageSplitter:
    """Takes a stream of JSON objects apart, one to a line, that comes in pieces of any size."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._rest = b""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Return the messages that are whole now. Raises EngineError for what is no message."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        with describing(self._what):
            if len(self._rest) > _MESSAGE_LIMIT:
                raise ValueError("a message without an end")
            return [self._message(line) for line in lines if line.strip()]

    @staticmethod
    def _message(line: bytes) -> dict[str, Any]:
        message = json.loads(line)
        if not isinstance(message, dict):
            raise TypeError("not an object")
        return message
