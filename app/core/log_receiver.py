"""What the agent wants of a receiver of container logs; who starts its process gives it one."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol


class ShippedLine(NamedTuple):
    """A line as it leaves: the same each time, so that who gets it twice can tell."""

    container_id: str
    environment_id: str
    team: str | None
    """None where it is not said, or where the environment has none."""
    stream: str
    at_ns: int
    seq: int
    """Number of the line in its container, from 1 without a gap."""
    text: str


class Outcome(StrEnum):
    """What became of lines that were sent."""

    TAKEN = "taken"
    RETRY = "retry"
    """Not now."""
    TOO_LARGE = "too_large"
    """Fewer at once."""
    UNWANTED = "unwanted"
    """Not these, ever."""
    CLOSED = "closed"
    """Nothing of ours, until somebody corrects the settings or the receiver."""


@dataclass(frozen=True)
class Reply:
    """What the receiver said."""

    outcome: Outcome
    why: str = ""
    in_doubt: bool = False
    """They may have been taken all the same."""
    after: float | None = None
    """Seconds after which it wants to be asked again."""
    rejected: int = 0
    """How many of the lines it has left out."""


class Receiver(Protocol):
    """Where lines are sent; of one thread."""

    def send(self, lines: Sequence[ShippedLine]) -> Reply:
        """Send the lines, within a deadline; raises nothing."""

    def close(self) -> None: ...


Receivers = Callable[[threading.Event], Receiver]
"""Makes a receiver; the event is set when there is no more time for it."""
