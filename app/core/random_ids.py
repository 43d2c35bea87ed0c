"""Ids that name something to people and logs; no secrets."""

import os

_AT_ONCE = 64


class RandomIds:
    """Takes random bytes from the system for many ids at once: asking costs more than the rest."""

    def __init__(self, size: int = 16) -> None:
        """size: bytes of an id."""
        self._size = size
        self._ids: list[str] = []
        # A child would make the ids of its parent again.
        os.register_at_fork(after_in_child=self._ids.clear)

    def new(self) -> str:
        """Return an id, two hexadecimal digits for each byte; any thread may ask."""
        try:
            return self._ids.pop()
        except IndexError:
            made = os.urandom(_AT_ONCE * self._size).hex(" ", self._size).split()
            id = made.pop()
            self._ids.extend(made)
            return id
