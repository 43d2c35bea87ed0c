"""Reads the log of one container, in a thread of its own, to its end.

A followed log of Docker 20.10 has gaps: it ends with the file in which it was when the container
ended, and passes over a file that came and went (10 MB each) while it was busy with the one before.
A plain log never does, since Docker opens all files of it at once. So a container is caught up with
plain readings until hardly anything is new, followed only as long as its lines arrive promptly, and
read plainly once more at its end.
"""

import logging
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Protocol

from app.engine import Engine, LogLine, Stream
from app.errors import ContainerNotFoundError, StorageUnavailableError, VibeBoxError
from app.logs.lines import Joiner, Line
from app.logs.positions import Position, Replay, after, since

_log = logging.getLogger(__name__)

# Bytes of new lines up to which a reading has caught up, so that the container may be followed. It
# must stay well below the 10 MB of a file; less reads the files of a busy container too often.
_LITTLE = 2 * 1024 * 1024

# How much later than at best a line may arrive before the container is read plainly again: less
# than Docker takes to write one whole file.
_LATE_NS = 500_000_000

# Seconds between two readings of which the last brought nothing, and between attempts.
_PAUSE = 0.2
_LONGEST_PAUSE = 10.0
_TICK = 0.05


class Sink(Protocol):
    """Where a reader's lines go, and who decides when it is done."""

    def put(self, reader: "Reader", line: Line) -> bool:
        """Take the line as soon as there is room; False when the reader is to end."""

    def positions(self, container_id: str) -> dict[str, Position]:
        """Return how far the container is taken in. Raises: StorageUnavailableError."""

    def may_end(self, reader: "Reader") -> bool:
        """Forget a reader that came to the end, unless it was asked to look again."""

    def forget(self, reader: "Reader") -> None:
        """Forget a reader that ends."""


class Reader:
    """Reads one container; made by the intake, which starts it.

    Attributes:
        stored: positions in the database; the writer's, once the reader has begun.
        dropped: its lines are not to be stored any more.
    """

    def __init__(self, environment_id: str, container_id: str, engine: Engine, sink: Sink) -> None:
        self.environment_id = environment_id
        self.container_id = container_id
        self.stored: dict[str, Position] = {}
        self.dropped = False
        self._engine = engine
        self._sink = sink
        self._read: dict[str, Position] = {}
        self._stream: Stream[LogLine] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"logs-{container_id[:12]}", daemon=True
        )

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Let the reader end soon; what it has put is still stored."""
        self._stopping.set()
        stream = self._stream
        if stream is not None:
            stream.close()

    def drop(self) -> None:
        """Let the reader end soon, and what it has put but nobody stored be forgotten."""
        self.dropped = True
        self.stop()

    def join(self, seconds: float) -> None:
        """Wait for the end, but no longer than that."""
        self._thread.join(seconds)

    @property
    def stopping(self) -> bool:
        """Whether the reader is to end."""
        return self._stopping.is_set()

    def _run(self) -> None:
        try:
            self._persist(self._begin)
            while not self.stopping:
                self._persist(self._to_the_end)
                # Until then whoever follows the container again would read these lines again.
                while self.stored != self._read and not self.stopping:
                    self._stopping.wait(_TICK)
                if self._sink.may_end(self):
                    return
        except Exception:
            _log.exception("log not read any further", extra={"container": self.container_id})
        finally:
            self._sink.forget(self)

    def _begin(self) -> None:
        self.stored = self._sink.positions(self.container_id)
        self._read = dict(self.stored)

    def _persist(self, work: Callable[[], None]) -> None:
        """Do the work, over and over while what it needs is not to be had."""
        pause = _PAUSE
        while not self.stopping:
            before = dict(self._read)
            try:
                work()
                return
            except ContainerNotFoundError:
                return
            except VibeBoxError as error:
                if self._read != before:
                    pause = _PAUSE
                if pause == _PAUSE and not self.stopping:
                    kind = "database" if isinstance(error, StorageUnavailableError) else "engine"
                    _log.warning(
                        "log interrupted",
                        extra={"container": self.container_id, "reason": kind},
                    )
            self._stopping.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _to_the_end(self) -> None:
        """Read for as long as the container runs, and what is left then."""
        while not self.stopping:
            joiner, replay = Joiner(), Replay(self._read)
            found = self._pass(joiner, replay, follow=False)
            if found > _LITTLE:
                continue
            if not found and not self._engine.inspect(self.container_id).running:
                self._put_open_ends(joiner, replay)
                return
            if not self._pass(Joiner(), Replay(self._read), follow=True):
                self._stopping.wait(_PAUSE)

    def _pass(self, joiner: Joiner, replay: Replay, *, follow: bool) -> int:
        """Read once, and return how many bytes were new."""
        lateness, found = _Lateness(), 0
        with closing(self._lines(joiner, follow=follow)) as lines:
            for line in lines:
                if not replay.is_new(line):
                    continue
                if not self._put(line):
                    break
                found += line.size
                if follow and lateness.grows(line.at_ns):
                    break
        return found

    def _lines(self, joiner: Joiner, *, follow: bool) -> Generator[Line]:
        stream = self._engine.logs(self.container_id, since_ns=since(self._read), follow=follow)
        with stream:
            self._stream = stream
            if self.stopping:  # it was told before it had the stream
                return
            for record in stream:
                yield from joiner.feed(record)
        self._stream = None

    def _put_open_ends(self, joiner: Joiner, replay: Replay) -> None:
        """Take what the container wrote last without a newline, which nothing can follow now."""
        for line in joiner.rest():
            if not self.stopping and replay.is_new(line):
                self._put(line)

    def _put(self, line: Line) -> bool:
        if not self._sink.put(self, line):
            return False
        self._read[line.stream] = after(self._read.get(line.stream), line.at_ns)
        return True


class _Lateness:
    """Compares the arrival of lines with the most prompt one, whatever Docker's clock shows."""

    def __init__(self) -> None:
        self._least: int | None = None

    def grows(self, at_ns: int) -> bool:
        late = time.time_ns() - at_ns
        if self._least is None or late < self._least:
            self._least = late
        return late - self._least > _LATE_NS
