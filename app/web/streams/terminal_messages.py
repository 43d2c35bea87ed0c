"""What the client of a terminal says beside its input: text messages, in JSON."""

import json
from typing import Any, NamedTuple

from app.web.websockets.assembly import Message

LARGEST = 1000
"""Columns or rows of a terminal, at most."""


class Resize(NamedTuple):
    """The terminal has another size."""

    cols: int
    rows: int


class Shown(NamedTuple):
    """So many bytes of output were shown since the client said so last."""

    bytes: int


class Ping(NamedTuple):
    """The client wants a sign of life."""


def parse(message: Message) -> Resize | Shown | Ping:
    """Return what a message says. Raises: ValueError for what is none of ours."""
    try:
        said: Any = json.loads(message)
        if said["type"] == "resize":
            return Resize(_size(said["cols"]), _size(said["rows"]))
        if said["type"] == "shown":
            return Shown(_number(said["bytes"]))
        if said["type"] == "ping":
            return Ping()
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError("no message of ours") from error
    raise ValueError("no message of ours")


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("no number of bytes")
    return value


def _size(value: Any) -> int:
    if not 1 <= _number(value) <= LARGEST:
        raise ValueError("no size of a terminal")
    return int(value)
