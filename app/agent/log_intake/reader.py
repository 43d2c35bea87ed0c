"""Reads the log of one container, in a thread of its own, to its end.

The gateway to Docker gives a followed log whole and in order (see `app.engine.log_following`);
what a reader adds is where to begin, and what to do when the log cannot be had for a while.
"""

import logging
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Protocol

from app.agent.log_intake.lines import Joiner, Line
from app.agent.log_intake.positions import Position, Replay, after, since
from app.core.errors import ContainerNotFoundError, StorageUnavailableError, VibeBoxError
from app.core.isolation import Loop, failed
from app.core.trace_context import task
from app.engine import Engine, LogLine, Stream

_log = logging.getLogger(__name__)

# Seconds between two attempts.
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
            failed(Loop.LOG_INTAKE)
            _log.exception("log not read any further", extra={"container": self.container_id})
        finally:
            self._sink.forget(self)

    def _begin(self) -> None:
        with task(Loop.LOG_INTAKE):
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
            self._pass(joiner, replay)
            if not self.stopping and not self._runs():
                self._put_open_ends(joiner, replay)
                return

    def _runs(self) -> bool:
        with task(Loop.LOG_INTAKE):
            return self._engine.inspect(self.container_id).running

    def _pass(self, joiner: Joiner, replay: Replay) -> None:
        """Read until the container ends, or somebody ends the reader."""
        with closing(self._lines(joiner)) as lines:
            for line in lines:
                if replay.is_new(line) and not self._put(line):
                    return

    def _lines(self, joiner: Joiner) -> Generator[Line]:
        with task(Loop.LOG_INTAKE):  # the call alone: what follows lasts as the container does
            stream = self._engine.logs(self.container_id, since_ns=since(self._read), follow=True)
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
