"""Waiting with a deadline for work that may hang, without piling up threads.

A hung database driver or HTTP client cannot be interrupted from outside. What can be bounded is
how long we wait for it, and how often it is started: one run at a time, in one thread.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class DeadlineExceededError(Exception):
    """The work did not finish in time; it may still be running."""


class Run(Generic[T]):
    """One run of the work: wait for it with `result`."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._ended: float | None = None
        self._future: Future[T] = Future()

    @classmethod
    def failed(cls, error: Exception) -> "Run[T]":
        """Return a run that could not even begin, for `error`."""
        run = cls()
        run._ended = run._started
        run._future.set_exception(error)
        return run

    def result(self, deadline: float) -> T:
        """Return what the run yields within `deadline` seconds of its start.

        A run that is older than that is not waited for at all, so that a hundred callers of a
        hung dependency cost nothing. Raises: DeadlineExceededError, or what the work raised.
        """
        remaining = self._started + deadline - time.monotonic()
        try:
            return self._future.result(max(0.0, remaining))
        except TimeoutError:
            if self._future.done():  # at the last moment, or it was the work's own error
                return self._future.result()
            raise DeadlineExceededError(f"no answer in {deadline:g} s") from None

    @property
    def done(self) -> bool:
        """Whether the work has ended."""
        return self._future.done()

    @property
    def seconds(self) -> float:
        """How long the run took, or has taken so far."""
        return (self._ended or time.monotonic()) - self._started

    def execute(self, work: Callable[[], T]) -> None:
        """Do the work; for the thread that owns it."""
        try:
            value = work()
        except BaseException as error:
            self._ended = time.monotonic()
            self._future.set_exception(error)
        else:
            self._ended = time.monotonic()
            self._future.set_result(value)


class SingleFlight(Generic[T]):
    """Runs `work` in a daemon thread of its own, never twice at once.

    Whoever asks while a run is under way joins it. The thread is made by the first call: after
    fork, and not at all where nobody asks.
    """

    def __init__(self, name: str, work: Callable[[], T]) -> None:
        self._name = name
        self._work = work
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._current: Run[T] | None = None
        self._queue: SimpleQueue[Run[T] | None] = SimpleQueue()

    def begin(self) -> Run[T]:
        """Return the run under way, or a new one; does not wait.

        Raises: RuntimeError where the system has no further thread for this process.
        """
        with self._lock:
            if self._current is not None and not self._current.done:
                return self._current
            if self._thread is None:
                thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
                thread.start()
                self._thread = thread
            self._current = Run()
            self._queue.put(self._current)
            return self._current

    @property
    def busy(self) -> bool:
        """Whether a run is under way."""
        with self._lock:
            return self._current is not None and not self._current.done

    def close(self) -> None:
        """Let the thread end after its current run."""
        self._queue.put(None)

    def _loop(self) -> None:
        while (run := self._queue.get()) is not None:
            run.execute(self._work)
