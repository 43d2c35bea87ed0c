"""How many requests of a process may last long, so that the others are always served."""

import threading
from math import ceil


class Slots:
    """A number of places; with `within`, each also takes one of those."""

    def __init__(self, number: int, within: "Slots | None" = None) -> None:
        self.number = number
        self._free = threading.Semaphore(number)
        self._within = within

    def take(self) -> bool:
        """Take a slot if one is free."""
        if not self._free.acquire(blocking=False):
            return False
        if self._within is not None and not self._within.take():
            self._free.release()
            return False
        return True

    def give_back(self) -> None:
        """Give back a slot that was taken."""
        self._free.release()
        if self._within is not None:
            self._within.give_back()


def long_requests(threads: int) -> Slots:
    """Return the slots of everything that lasts: a quarter of the threads always serve the rest."""
    return Slots(threads - max(1, ceil(threads / 4)))
