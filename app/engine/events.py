"""Docker's events, reduced to what may be known outside of the door."""

from typing import Any

from app.engine.answers import MessageSplitter, describing
from app.engine.values import ENVIRONMENT_LABEL, INSTANCE_LABEL, ContainerEvent


class EventDecoder:
    """Makes events of what GET /events sends, in pieces of any size."""

    def __init__(self) -> None:
        self._messages = MessageSplitter("an event")

    def feed(self, data: bytes) -> list[ContainerEvent]:
        """Return the events that are whole now. Raises EngineError for what is no event."""
        messages = self._messages.feed(data)
        with describing("an event"):
            return [_event(message) for message in messages]


def _event(message: dict[str, Any]) -> ContainerEvent:
    # The action of an exec holds its whole command line behind the colon: secrets may be in it.
    action = str(message["Action"]).partition(":")[0]
    attributes = message["Actor"]["Attributes"] or {}
    # Docker also gives the exit code of an exec, which says nothing about the container.
    exit_code = attributes.get("exitCode") if action == "die" else None
    return ContainerEvent(
        action=action,
        container=str(message["Actor"]["ID"]),
        environment_id=attributes.get(ENVIRONMENT_LABEL),
        instance=attributes.get(INSTANCE_LABEL),
        exit_code=None if exit_code is None else int(exit_code),
        at_ns=int(message["timeNano"]),
    )
