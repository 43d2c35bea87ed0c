"""A stream of an engine in memory, fed from a list that a test may append to at any time."""

import threading
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")

_TICK = 0.005


class FakeStream(Generic[T]):
    """Gives what is in `source`, then waits for more until `over` or closed.

    `fail` is called before each value and while it waits; it raises to act a fault out.
    """

    def __init__(
        self, source: Sequence[T], over: Callable[[], bool], fail: Callable[[], None]
    ) -> None:
        self._source = source
        self._over = over
        self._fail = fail
        self._given = 0
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        while not self._closed.is_set():
            self._fail()
            # Asked first: what is appended before the end must not be missed.
            over = self._over()
            if self._given < len(self._source):
                self._given += 1
                return self._source[self._given - 1]
            if over:
                break
            self._closed.wait(_TICK)
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether somebody closed the stream."""
        return self._closed.is_set()

    def close(self) -> None:
        self._closed.set()


class Since(Sequence[T]):
    """What is in `source` from `since_ns` on, also what is appended later."""

    def __init__(self, source: list[T], since_ns: int | None, at_ns: Callable[[T], int]) -> None:
        self._source = source
        self._since_ns = since_ns
        self._at_ns = at_ns

    def _values(self) -> list[T]:
        if self._since_ns is None:
            return self._source
        return [value for value in self._source if self._at_ns(value) >= self._since_ns]

    def __getitem__(self, index: int) -> T:  # type: ignore[override]
        return self._values()[index]

    def __len__(self) -> int:
        return len(self._values())
