"""Something is tried out every few seconds, on behalf of checks that come at any time.

What has to write, or to go deep, may wait where a plain question is answered at once: for a lock,
for a slow disk. What waits is no fault yet; what waits for longer than users would is.
"""

import time
from collections.abc import Callable

from app.core.single_flight import DeadlineExceededError, SingleFlight


class Trial:
    """Tries `attempt` in a thread of its own, never twice at once.

    Attributes: every (seconds for which one result stands: longer tells a fault later, shorter
    does more for probes than for users), patience (seconds for which an attempt may go on while
    the one before was good).
    """

    def __init__(
        self, name: str, attempt: Callable[[], None], *, every: float, patience: float
    ) -> None:
        self.every = every
        self.patience = patience
        self._attempt = attempt
        self._flight = SingleFlight(name, self._try)
        self._good_at: float | None = None
        self._failed: tuple[float, Exception] | None = None

    def verify(self, seconds: float) -> None:
        """Return within `seconds` where the last attempt was good, or the one under way may be.

        Raises: what the attempt raised; TimeoutError where it has gone on for too long.
        """
        now = time.monotonic()
        if self._failed is not None and now - self._failed[0] < self.every:
            raise self._failed[1].with_traceback(None)
        if self._good_at is not None and now - self._good_at < self.every:
            return
        run = self._flight.begin()
        try:
            run.result(seconds)
        except DeadlineExceededError:
            # Credit has who was well the last time.
            if self._failed is not None:
                raise self._failed[1].with_traceback(None) from None
            if self._good_at is None or run.seconds > self.patience:
                raise TimeoutError(f"no end after {run.seconds:.1f} s") from None

    def close(self) -> None:
        """End the thread after its attempt."""
        self._flight.close()

    def _try(self) -> None:
        try:
            self._attempt()
        except Exception as error:
            self._failed = time.monotonic(), error
            raise
        self._failed = None
        self._good_at = time.monotonic()
