"""Which request threads serve a scrape: it must not find itself among the busy ones."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Threads = Callable[[], tuple[int, int]]
"""Returns how many request threads are busy, and how many there are."""

# What a worker calls its threads for probes and scrapes; they are not among the busy ones.
_RESERVED = "reserved"


class Scrapes:
    """Which request threads serve a scrape at the moment; it must not show itself as busy."""

    def __init__(self) -> None:
        # Adding to and discarding from a set are single steps: they need no lock.
        self._serving: set[int] = set()

    @contextmanager
    def serve(self) -> Iterator[None]:
        """Leave this thread out of the busy ones while it renders a scrape."""
        thread = threading.current_thread()
        if not thread.name.startswith(_RESERVED):
            self._serving.add(threading.get_ident())
        try:
            yield
        finally:
            self._serving.discard(threading.get_ident())

    def without(self, threads: Threads) -> Threads:
        """Return `threads` with those that serve a scrape taken off the busy ones."""

        def others() -> tuple[int, int]:
            busy, total = threads()
            return max(0, busy - len(self._serving)), total

        return others


scrapes = Scrapes()
"""Those of this process."""
