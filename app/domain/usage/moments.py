"""When runs were read last: by the clock of their host, and by one that nobody sets.

The clock of a host leaps when it is set, and when the machine was stopped and goes on, as one that
is resumed. What it leapt between two readings is no time in which anything ran. Known only to who
took both readings: after another start of the agent it counts.
"""

from collections.abc import Iterable
from typing import NamedTuple

_NS = 1_000_000_000
# What two readings may be apart more than the time between them: answers come late.
_LEAP = 60 * _NS


class Moment(NamedTuple):
    """Of one reading: by the clock of the host, and by the seconds of the reader's own."""

    run_started: str
    read_at_ns: int
    taken_at: float


class Moments:
    """The last of each container that is booked."""

    def __init__(self) -> None:
        self._last: dict[str, Moment] = {}

    def leapt(self, container_id: str, booked_ns: int, now: Moment) -> int:
        """Return the nanoseconds that the clock leapt ahead since the reading that is booked.

        booked_ns: when that was; 0 where nothing is.
        """
        last = self._last.get(container_id)
        if last is None or (last.run_started, last.read_at_ns) != (now.run_started, booked_ns):
            return 0
        passed = round((now.taken_at - last.taken_at) * _NS)
        ahead = now.read_at_ns - booked_ns - passed
        return ahead if ahead > _LEAP else 0

    def note(self, moments: Iterable[tuple[str, Moment]]) -> None:
        """Keep what is booked now."""
        self._last.update(moments)

    def forget(self, containers: Iterable[str]) -> None:
        """Forget what has ended; one that runs anew is known from its next reading on."""
        for container_id in containers:
            self._last.pop(container_id, None)
