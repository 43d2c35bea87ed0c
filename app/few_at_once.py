"""Work in threads of its own, a few at once, and never twice at the same thing."""

import threading
from collections.abc import Callable


class FewAtOnce:
    """Threads called `name`, at most `limit` of them; for one thread that begins them."""

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._busy: set[str] = set()

    def takes(self, key: str) -> bool:
        """Tell whether there is room, and nobody is at `key`."""
        return len(self._busy) < self._limit and key not in self._busy

    def begin(self, key: str, work: Callable[[], object]) -> None:
        """Do `work`, which handles its own errors, if `takes` says so."""
        if not self.takes(key):
            return
        self._busy.add(key)
        thread = threading.Thread(target=self._run, args=(key, work), name=self._name, daemon=True)
        thread.start()

    def _run(self, key: str, work: Callable[[], object]) -> None:
        try:
            work()
        finally:
            self._busy.discard(key)
