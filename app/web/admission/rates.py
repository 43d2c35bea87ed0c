"""How often an account may do something: so many at once, and again as time goes by."""

import threading
import time
from collections.abc import Callable
from math import ceil

from app.core.errors import TooManyChangesError

_MOST_OWNERS = 10_000
_ROUNDING = 1e-6


class Rate:
    """A bucket for each owner that holds `number` and fills within `seconds`."""

    def __init__(
        self, number: int, seconds: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._step = seconds / number
        self._seconds = seconds
        self._clock = clock
        # When the bucket of each would be full again, were nothing taken from it meanwhile.
        self._full_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def count(self, owner: str) -> None:
        """Take one. Raises: TooManyChangesError, where there is none."""
        with self._lock:
            now = self._clock()
            full_at = max(now, self._full_at.get(owner, now)) + self._step
            if full_at > now + self._seconds + _ROUNDING:
                raise TooManyChangesError(max(1, ceil(round(full_at - now - self._seconds, 6))))
            if len(self._full_at) >= _MOST_OWNERS:
                self._full_at = {one: at for one, at in self._full_at.items() if at > now}
            self._full_at[owner] = full_at
