"""Asks the engine for many containers at once.

Docker Engine 20.10 answers `stats` when its own reading of the second comes round, also with
`one-shot`: one after the other, 500 containers would take eight minutes. Asked together they share
a reading. An answer costs some 4 ms of CPU, most of them the engine's: so each container is asked
for the more rarely, the more there are.
"""

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from app.core.isolation import OUTAGES, Isolation

# 500 containers are asked within ten seconds. The engine's client keeps fewer connections than that
# when they are idle: the others are made for a call, which takes little beside its answer.
AT_ONCE = 64
# 7.4 % of a core, measured with the engine's and its runtime's share on two cores: 500 containers
# are asked for every 25 seconds.
PER_SECOND = 20.0
# After so many failures in one round the rest would only wait for the same.
_FAILURES = 10


class Asking:
    """The containers that the engine is asked for; for one thread."""

    def __init__(self, isolation: Isolation, at_once: int = AT_ONCE) -> None:
        """`isolation` bounds each of them, and has its failures."""
        self._isolation = isolation
        self._at_once = at_once

    def go_through(
        self,
        items: Collection[str],
        work: Callable[[str], object],
        over: Callable[[], bool] = lambda: False,
    ) -> None:
        """Work on all that are due, and return when all is done, or `over` says so.

        Raises: StorageError and EngineUnreachableError once all were tried, or many in vain.
        """
        self._isolation.keep(items)
        due = [item for item in items if not self._isolation.pause(item)]
        if not due:
            return
        failed: list[Exception] = []

        def attempt(item: str) -> None:
            if over() or len(failed) >= _FAILURES:
                return
            error = self._isolation.error_of(item, partial(work, item))
            if error is not None:
                failed.append(error)

        with ThreadPoolExecutor(min(self._at_once, len(due)), "usage") as pool:
            list(pool.map(attempt, due))
        down = next((error for error in failed if isinstance(error, OUTAGES)), None)
        if down is not None:
            raise down
