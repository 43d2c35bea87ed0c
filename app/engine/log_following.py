"""Following a log exactly, which Docker's own way of following does not do.

Learnt from 20.10: it stops reading when the container ends, however far behind it is; when the
file is rotated it may send the file again; when it is behind by two rotations it leaves one out.
Plain reading does none of that. So a log is first read and then followed, read again where the
following fell behind or ended, and what was given already is recognised by its time.
"""

import threading
import time
from collections.abc import Callable, Generator, Iterator
from types import TracebackType
from typing import Self

from app.engine.streams import EngineStream
from app.engine.values import LogLine
from app.errors import ContainerNotFoundError, EngineError

_SECOND_NS = 1_000_000_000

# Lines of the two streams may stand this much out of order in the file; measured: milliseconds.
# More reads more lines twice.
_DISORDER_NS = _SECOND_NS

# Following that is later than this is given up for reading. More lets a container that prints
# faster rotate two files in that time; less reads a busy log more often.
_LATE_NS = 2 * _SECOND_NS

OpenLog = Callable[[int | None, bool], EngineStream[LogLine]]
"""Opens the log from a time on, to follow it or not."""


class _Place:
    """The last time of a stream, how many lines had it, and how many of these came again."""

    def __init__(self) -> None:
        self.at_ns = -1
        self.lines = 0
        self.again = 0


class LogCursor:
    """Tells new lines from those that come again, by their times.

    Within one stream times never fall, and the pieces of a long line have the same one. Where they
    do fall, the log is being sent again. (Or the host's clock was set back: lines are left out
    then until it has caught up. Docker itself cannot resume such a log either.)
    """

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {"stdout": _Place(), "stderr": _Place()}

    @property
    def since_ns(self) -> int | None:
        """From when on to read again so that no line is missed; None before the first line."""
        latest = max(place.at_ns for place in self._places.values())
        return None if latest < 0 else max(0, latest - _DISORDER_NS)

    def rewind(self) -> None:
        """Expect lines to come again, since the log is opened anew."""
        for place in self._places.values():
            place.again = 0

    def is_new(self, line: LogLine) -> bool:
        """Tell whether the line has not been here, and take it in."""
        place = self._places[line.stream]
        if line.at_ns > place.at_ns:
            place.at_ns, place.lines, place.again = line.at_ns, 1, 1
            return True
        if line.at_ns < place.at_ns:
            place.again = 0
            return False
        place.again += 1
        if place.again <= place.lines:
            return False
        place.lines = place.again
        return True


class LogFollower:
    """Implements `Stream` over a log that goes on; one thread iterates, any may close."""

    def __init__(self, open_log: OpenLog, since_ns: int | None) -> None:
        self._open_log = open_log
        self._since_ns = since_ns
        self._cursor = LogCursor()
        self._delay_ns: int | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._stream = open_log(since_ns, False)
        self._lines = self._read_and_follow()

    def __iter__(self) -> Iterator[LogLine]:
        return self

    def __next__(self) -> LogLine:
        """Return the next line. Raises StopIteration, and what `Stream` says."""
        return next(self._lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """See `Stream.close`."""
        with self._lock:
            self._closed = True
            self._stream.close()

    def _read_and_follow(self) -> Iterator[LogLine]:
        yield from self._read()
        ended = False
        while not ended and self._reopen(follow=True):
            ended = yield from self._follow()
            if self._reopen(follow=False):
                yield from self._read()

    def _read(self) -> Iterator[LogLine]:
        self._delay_ns = None
        for line in self._stream:
            self._is_late(line)
            if self._cursor.is_new(line):
                yield line

    def _follow(self) -> Generator[LogLine, None, bool]:
        """Yield lines; return whether the log has ended, rather than fallen behind."""
        for line in self._stream:
            if self._is_late(line):
                return False
            if self._cursor.is_new(line):
                yield line
        return True

    def _is_late(self, line: LogLine) -> bool:
        """Tell by how the line compares with the promptest, since clocks of hosts differ."""
        delay = time.time_ns() - line.at_ns
        if self._delay_ns is None or delay < self._delay_ns:
            self._delay_ns = delay
        return delay - self._delay_ns > _LATE_NS

    def _reopen(self, *, follow: bool) -> bool:
        """Open the log where it was left; False when it is gone, or the stream was closed."""
        since = max(self._cursor.since_ns or 0, self._since_ns or 0) or None
        self._cursor.rewind()
        try:
            stream = self._open_log(since, follow)
        except EngineError as error:
            if self._closed or isinstance(error, ContainerNotFoundError):
                return False
            raise
        with self._lock:
            self._stream.close()
            self._stream = stream
            if self._closed:
                stream.close()
            return not self._closed
