"""Following a log exactly, which Docker's own way of following does not do.

Learnt from 20.10: it stops when the container ends, however far behind it is, and around a rotation
of the file it sends a file again, leaves one out, or stands still until the next rotation. Plain
reading does none of that. So what Docker follows is only a wakeup here, which says that there is
something to read; lines come from reading alone, and what was given already is recognised by its
time.
"""

import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Protocol, Self

from app.core.errors import ContainerNotFoundError, EngineError
from app.engine.streams import EngineStream, SilenceElapsed
from app.engine.transport import DeadlineSocket, shut_down
from app.engine.values import LogLine

_SECOND_NS = 1_000_000_000

# Lines of the two streams may stand this much out of order in the file; measured: milliseconds.
# More reads more lines twice.
_DISORDER_NS = _SECOND_NS

# Pause between two readings of a log that is being written. Longer delays its lines, all but the
# first; shorter reads more lines twice.
_PAUSE_SECONDS = 0.25

# A wakeup that is silent is hung anew, in case it is broken. Longer delays lines by as much then.
_BELL_SECONDS = 30.0

# Lines to read from the end of the file: a reading must begin with what is known already, and the
# lines of the pause and of the disorder are among it. Above the maximum the whole log is read,
# which takes Docker about 5 µs for each line there is.
_TAIL_LEAST = 200
_TAIL_MOST = 20_000
_TAIL_FACTOR = 8


class OpenLog(Protocol):
    """Opens the log: from a time on or its last lines, to read or to follow it.

    `connecting` is given the connection before anything is sent on it.
    """

    def __call__(
        self,
        *,
        since_ns: int | None = None,
        tail: int | None = None,
        bell_seconds: float | None = None,
        connecting: Callable[[DeadlineSocket], None] | None = None,
    ) -> EngineStream[LogLine]: ...


class _Place:
    """The last time of a stream, how many lines had it, and how many of these came again."""

    def __init__(self, since_ns: int | None) -> None:
        # What is older than `since_ns` counts as given, in any number.
        self.at_ns = -1 if since_ns is None else since_ns - 1
        self.lines = sys.maxsize
        self.again = 0


class LogCursor:
    """Tells new lines from those that come again, by their times.

    Within one stream times never fall, and the pieces of a long line have the same one. Where they
    do fall, the log is being sent again. (Or the host's clock was set back: lines are left out
    then until it has caught up. Docker itself cannot resume such a log either.)
    """

    def __init__(self, since_ns: int | None = None) -> None:
        self._places = {name: _Place(since_ns) for name in ("stdout", "stderr")}

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
        self._cursor = LogCursor(since_ns)
        self._tail = _TAIL_LEAST
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._connecting: DeadlineSocket | None = None
        # Opened here, so that whoever follows an absent container hears of it at once.
        self._streams = {open_log(since_ns=since_ns)}
        self._lines = self._until_closed()

    def __iter__(self) -> Iterator[LogLine]:
        return self

    def __next__(self) -> LogLine:
        """Return the next line. Raises StopIteration, and what `Stream` says."""
        if self._closed.is_set():
            raise StopIteration
        return next(self._lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        self.close()

    def close(self) -> None:
        """See `Stream.close`."""
        with self._lock:
            self._closed.set()
            for stream in self._streams:
                stream.close()
            # A hung engine must not hold the reader until the deadline of a new stream either.
            if self._connecting is not None:
                shut_down(self._connecting)

    def _until_closed(self) -> Iterator[LogLine]:
        try:
            yield from self._follow()
        except ContainerNotFoundError:
            return  # its log went with it
        except EngineError:
            if not self._closed.is_set():
                raise

    def _follow(self) -> Iterator[LogLine]:
        (first,) = self._streams
        with self._held(first):
            yield from self._new_of(first)
        rung = True
        while rung and not self._closed.is_set():
            with self._held(self._open(tail=0, bell_seconds=_BELL_SECONDS)) as wakeup:
                yield from self._catch_up()  # with what came before the wakeup was there
                rung = self._wait(wakeup)
            yield from self._catch_up()

    @staticmethod
    def _wait(wakeup: EngineStream[LogLine]) -> bool:
        """Wait until there may be something to read; False when the container has ended."""
        try:
            return next(wakeup, None) is not None
        except SilenceElapsed:
            return True

    def _catch_up(self) -> Iterator[LogLine]:
        """Read until there is nothing new."""
        while not self._closed.is_set():
            count = yield from self._read_end()
            if count is None:
                with self._held(self._open(since_ns=self._since())) as whole:
                    count = yield from self._new_of(whole)
            self._tail = _TAIL_LEAST + _TAIL_FACTOR * count
            if not count or self._closed.wait(_PAUSE_SECONDS):
                return

    def _read_end(self) -> Generator[LogLine, None, int | None]:
        """Yield the new ones of the last lines; return None when these do not reach back enough."""
        known = self._cursor.since_ns
        if known is None or self._tail > _TAIL_MOST:
            return None
        with self._held(self._open(tail=self._tail)) as stream:
            first = next(stream, None)
            if first is None or first.at_ns > known:
                return None
            return (yield from self._new_of(stream))

    def _new_of(self, stream: EngineStream[LogLine]) -> Generator[LogLine, None, int]:
        """Yield the lines that were not given yet; return how many they are."""
        self._cursor.rewind()
        count = 0
        for line in stream:
            if self._cursor.is_new(line):
                count += 1
                yield line
        return count

    def _since(self) -> int | None:
        return max(self._cursor.since_ns or 0, self._since_ns or 0) or None

    def _open(
        self,
        *,
        since_ns: int | None = None,
        tail: int | None = None,
        bell_seconds: float | None = None,
    ) -> EngineStream[LogLine]:
        return self._open_log(
            since_ns=since_ns, tail=tail, bell_seconds=bell_seconds, connecting=self._connected
        )

    def _connected(self, connection: DeadlineSocket) -> None:
        with self._lock:
            self._connecting = connection
            if self._closed.is_set():
                shut_down(connection)

    @contextmanager
    def _held(self, stream: EngineStream[LogLine]) -> Iterator[EngineStream[LogLine]]:
        """Let `close` close the stream while it is used, and close it afterwards."""
        with self._lock:
            self._streams.add(stream)
            if self._closed.is_set():
                stream.close()
        try:
            yield stream
        finally:
            with self._lock:
                self._streams.discard(stream)
            stream.close()
