"""A stream that another thread iterates, as an agent does."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, TypeVar

from app.engine import Stream
from tests.backends.programs import wait_until

T = TypeVar("T")
SOON = 20.0  # seconds; far above what is expected, since the machine may be busy


class Follower(Generic[T]):
    """What a stream gave so far, and how it ended."""

    def __init__(self, stream: Stream[T], pool: ThreadPoolExecutor) -> None:
        self.stream = stream
        self.values: list[T] = []
        self._end: Future[None] = pool.submit(self._follow)

    def _follow(self) -> None:
        for value in self.stream:
            self.values.append(value)

    def wait_for(self, condition: Callable[[list[T]], object]) -> list[T]:
        """Return what came once it satisfies the condition."""
        wait_until(
            lambda: bool(condition(list(self.values))) or self._end.done(),
            SOON,
            otherwise=lambda: f"got only {self.values[-20:]}",
        )
        assert condition(self.values), f"the stream ended after {self.values[-20:]}"
        return list(self.values)

    def end(self) -> list[T]:
        """Return all that came, when the stream has ended. Raises what the stream raised."""
        self._end.result(SOON)
        return self.values


@contextmanager
def following(stream: Stream[T]) -> Iterator[Follower[T]]:
    """Follow the stream in a thread, and close it at the end."""
    with ThreadPoolExecutor(1) as pool:
        try:
            yield Follower(stream, pool)
        finally:
            stream.close()
