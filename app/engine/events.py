"""Docker's events, reduced to what may be known outside of the gateway.

An event carries the labels of the container's image, which its owner chose: they may take the place
of Docker's own attributes, and be of any size. One that cannot be read is UNKNOWN, and the stream
goes on: refused, it would be sent again at each connection, and nobody would hear of the others.
"""

from typing import Any

from app.core.unreadable import UNREADABLE
from app.engine.answers import LineSplitter, message_of
from app.engine.values import ENVIRONMENT_LABEL, INSTANCE_LABEL, UNKNOWN, ContainerEvent

_HIGHEST_EXIT_CODE = 255


class EventDecoder:
    """Makes events of what GET /events sends, in pieces of any size."""

    def __init__(self) -> None:
        self._lines = LineSplitter()
        self._last_ns = 0

    def feed(self, data: bytes) -> list[ContainerEvent]:
        """Return the events that are whole now."""
        return [self._event(line) for line in self._lines.feed(data)]

    def _event(self, line: bytes | None) -> ContainerEvent:
        try:
            event = _event(message_of(line or b""))
        except UNREADABLE:
            return ContainerEvent(UNKNOWN, "", None, None, None, self._last_ns)
        self._last_ns = event.at_ns
        return event


def _event(message: dict[str, Any]) -> ContainerEvent:
    # The action of an exec holds its whole command line behind the colon: secrets may be in it.
    action = str(message["Action"]).partition(":")[0]
    attributes = message["Actor"]["Attributes"] or {}
    # Docker also gives the exit code of an exec, which says nothing about the container.
    exit_code = _exit_code(attributes.get("exitCode")) if action == "die" else None
    return ContainerEvent(
        action=action,
        container=str(message["Actor"]["ID"]),
        environment_id=attributes.get(ENVIRONMENT_LABEL),
        instance=attributes.get(INSTANCE_LABEL),
        exit_code=exit_code,
        at_ns=int(message["timeNano"]),
    )


def _exit_code(text: Any) -> int | None:
    """Return the code, None for what is none: a label of the image may stand in its place."""
    if not isinstance(text, str) or not (text.isascii() and text.isdigit() and len(text) <= 3):
        return None
    return int(text) if int(text) <= _HIGHEST_EXIT_CODE else None
