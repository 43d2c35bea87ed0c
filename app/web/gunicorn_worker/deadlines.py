"""How long a client may take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Deadlines:
    """The patience of the service with a client that has a request under way.

    Attributes: head (seconds for the whole head of a request), stall (seconds in which nothing of
    a body comes, or nothing of an answer is taken), rate (bytes a second that a body or an answer
    has to make on average, once `stall` seconds were waited for it), body (seconds that a thread
    waits for a body in all, whatever its size).
    """

    head: float = 10.0
    stall: float = 30.0
    rate: float = 1024.0
    body: float = 300.0


class Transfer:
    """How a body or an answer moves along, and when patience with it ends.

    Only the time in which the client is waited for counts: what the service does between two waits
    is not the client's. Moments are of time.perf_counter().

    Attributes: moved_at (when something moved last).
    """

    __slots__ = ("_moved", "_since", "_waited", "moved_at")

    def __init__(self) -> None:
        self._waited = 0.0
        self._moved = 0
        self._since = self.moved_at = 0.0

    def begin(self, now: float) -> None:
        """Note that the client is waited for from now on."""
        self._since = self.moved_at = now

    def end(self, now: float) -> float:
        """Note that it is waited for no more. Returns: the seconds of this wait."""
        seconds = now - self._since
        self._waited += seconds
        return seconds

    def move(self, now: float, moved: int) -> None:
        """Note how many bytes have moved in all; any change is a sign of life."""
        if moved != self._moved:
            self._moved, self.moved_at = moved, now

    @property
    def began_at(self) -> float:
        """When it began, had there been no time between the waits."""
        return self._since - self._waited

    def ends_at(self, deadlines: Deadlines) -> float:
        """Return when patience ends if nothing more moves."""
        on_average = self.began_at + max(0, self._moved) / deadlines.rate
        return deadlines.stall + min(self.moved_at, on_average)
