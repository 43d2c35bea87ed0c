"""Environments whose records have to be compared with Docker, each by one thread at a time."""

import threading
import time
from collections.abc import Callable


class WorkQueue:
    """A set of environments with the time from which each is due.

    Whatever happens to one environment is looked at once for all of it, and never by two threads
    at a time, so that what is seen later is also written later.
    """

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._held: set[str] = set()
        self._changed = threading.Condition()
        self._closed = False

    def add(self, environment_id: str, delay: float = 0.0) -> None:
        """Have the environment compared in `delay` seconds, or earlier where that is wanted."""
        due = time.monotonic() + delay
        with self._changed:
            self._due[environment_id] = min(due, self._due.get(environment_id, due))
            self._changed.notify_all()

    def get(self, avoided: Callable[[str], bool] | None = None) -> str | None:
        """Wait for one that is due, and hold it until `done`; None after `close`.

        Those that are `avoided` are left to others.
        """
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                free = [item for item in self._due.items() if item[0] not in self._held]
                if avoided is not None:
                    free = [item for item in free if not avoided(item[0])]
                environment_id, due = min(free, key=lambda item: item[1], default=(None, None))
                if environment_id is not None and due is not None and due <= now:
                    del self._due[environment_id]
                    self._held.add(environment_id)
                    return environment_id
                self._changed.wait(None if due is None else due - now)
            return None

    def done(self, environment_id: str) -> None:
        """Let others have the environment again."""
        with self._changed:
            self._held.discard(environment_id)
            self._changed.notify_all()

    def close(self) -> None:
        """Let no thread wait any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
