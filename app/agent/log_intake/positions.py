"""How far the streams of a container are taken in, and what of a reading is new.

Docker finds lines again by their time only (`since`, inclusive), and several may have the same. So
a position is the time of the last line and the number of lines of that time; a reading skips what
lies before it. Times rise within a stream, not between the two: each has a position of its own.
"""

from collections.abc import Mapping
from typing import NamedTuple

from app.agent.log_intake.lines import Line

# How far back a reading goes for a stream that has been silent while the other one was not (most
# containers never write to stderr). Docker writes the two streams in the order in which it gets
# hold of the file, some milliseconds out of the order of their times; more than any such delay, and
# little against the whole file.
_SILENT_NS = 600 * 1_000_000_000


class Position(NamedTuple):
    """The time of the last line taken in, and how many lines of that time there were."""

    at_ns: int
    taken: int


Positions = Mapping[str, Position]
"""Position by stream; a stream of which nothing is taken in has none."""


def after(position: Position | None, at_ns: int) -> Position:
    """Return the position behind one more line; it differs from the one before in any case.

    A clock that was set back does not take the position back with it.
    """
    if position is None or at_ns > position.at_ns:
        return Position(at_ns, 1)
    return Position(position.at_ns, position.taken + 1)


def since(positions: Positions) -> int | None:
    """Return the time from which a reading must begin; None for the very first line."""
    if not positions:
        return None
    times = [position.at_ns for position in positions.values()]
    oldest = min(times) if len(times) > 1 else 0
    return max(oldest, max(times) - _SILENT_NS, 0)


class Replay:
    """Tells, over one reading, the lines that are new from those that were taken in before."""

    def __init__(self, positions: Positions) -> None:
        self._ahead = dict(positions)
        self._met = dict.fromkeys(positions, 0)

    def is_new(self, line: Line) -> bool:
        """Whether the line lies behind the position; ask once for each line, in their order."""
        position = self._ahead.get(line.stream)
        if position is None:
            return True
        if line.at_ns < position.at_ns:
            return False
        if line.at_ns == position.at_ns and self._met[line.stream] < position.taken:
            self._met[line.stream] += 1
            return False
        del self._ahead[line.stream]
        return True
