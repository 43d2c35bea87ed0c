"""Telling a paste from typing, as far as that can be told by its bytes."""

from collections.abc import Callable
from time import monotonic


class Paste:
    """Whether more is put in than anybody types, which a reload lets come to its end."""

    QUIET = 1.0
    """Seconds without a byte after which a paste is over."""

    _MORE_THAN_TYPED = 1024

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._until = 0.0

    def note_input(self, number: int) -> None:
        """Remember that so many bytes came in one message."""
        if number >= self._MORE_THAN_TYPED or self.goes_on:
            self._until = self._clock() + self.QUIET

    def note_output(self) -> None:
        """Remember that the command said something, as about what was pasted."""
        if self.goes_on:
            self._until = self._clock() + self.QUIET

    @property
    def goes_on(self) -> bool:
        """Whether it goes on, as far as is known."""
        return self._clock() < self._until
