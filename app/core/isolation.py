"""Work on one of many items: it can neither break the work on the others nor hold it up.

Each loop over items, of the agent and of the web, does its work through here: guarded, under a
deadline, and after a failure again only after a pause that grows. What a container prints, answers
or does to itself is hostile, and so is what its owner asks for. Failures are counted by loop (see
`Loop`); an outage of the database or of Docker is no failure of an item, and has alerts of its own.
"""

import logging
import threading
from collections.abc import Callable, Collection
from enum import StrEnum
from time import monotonic

from app.core import deadline, signals, trace_context
from app.core.errors import EngineUnreachableError, LeadershipLostError, StorageError, VibeBoxError

OUTAGES = (StorageError, EngineUnreachableError)
"""What is down for every item alike."""

# Pauses after failures in a row: from seconds, so that a hiccup costs little, to minutes, so that
# who fails for ever costs next to nothing.
_FIRST_PAUSE = 10.0
_LONGEST_PAUSE = 300.0
_AFTER_OUTAGE = 1.0
_LONGEST_REASON = 500
_log = logging.getLogger(__name__)


class Loop(StrEnum):
    """What is done again and again: the label of the metric that counts its failures."""

    SWEEP = "sweep"
    RECONCILE = "reconcile"
    EVENTS = "events"
    ABANDONED = "abandoned"
    DRIFT = "drift"
    EXITS = "exits"
    EXPIRED = "expired"
    HOUSEKEEPING = "housekeeping"
    LOG_INTAKE = "log_intake"
    LOG_RETENTION = "log_retention"
    LOG_SHIPPING = "log_shipping"
    USAGE = "usage"
    USAGE_DISK = "usage_disk"
    USAGE_RETENTION = "usage_retention"
    ALERTING = "alerting"
    BUSINESS = "business"
    PROBE = "probe"
    PULLS = "pulls"
    SESSIONS = "sessions"
    SESSIONS_ON_START = "sessions_on_start"
    EXTENSIONS = "extensions"
    LEADERSHIP = "leadership"
    PRESENCE = "presence"
    STREAMS = "streams"  # what the web looks at for all who watch


ROUNDS = (
    Loop.SWEEP,
    Loop.ABANDONED,
    Loop.DRIFT,
    Loop.EXITS,
    Loop.EXPIRED,
    Loop.HOUSEKEEPING,
    Loop.LOG_RETENTION,
    Loop.LOG_SHIPPING,
    Loop.USAGE,
    Loop.USAGE_DISK,
    Loop.USAGE_RETENTION,
    Loop.ALERTING,
    Loop.BUSINESS,
    Loop.PROBE,
    Loop.PULLS,
    Loop.SESSIONS,
    Loop.SESSIONS_ON_START,
    Loop.EXTENSIONS,
)
"""The loops of the leading agent that come round again and again; the others wait for something."""


def failed(loop: Loop) -> None:
    """Count a failure of an item, or of the loop itself."""
    signals.emit(signals.loop_failed, loop=loop)


def reason(error: BaseException) -> str:
    """Return what went wrong, for the operator's log: bounded, whatever a container made of it."""
    return str(error.__cause__ or error)[:_LONGEST_REASON]


class Isolation:
    """The items of one loop, each with its own record of failures; any thread may work on one."""

    def __init__(
        self, loop: Loop, seconds: float, *, clock: Callable[[], float] = monotonic
    ) -> None:
        """Describe the loop; `seconds` is the deadline of an item each time."""
        self.loop = loop
        self.seconds = seconds
        self.clock = clock
        self._lock = threading.Lock()
        self._failures: dict[str, int] = {}
        self._due: dict[str, float] = {}
        self._slow: set[str] = set()

    def attempt(self, item: str, work: Callable[[], object]) -> bool:
        """Work on the item once; tell whether that came to its end. Raises: LeadershipLostError."""
        return self.error_of(item, work) is None

    def error_of(self, item: str, work: Callable[[], object]) -> Exception | None:
        """Do as `attempt`, and return what went wrong."""
        started = self.clock()
        try:
            with trace_context.task(self.loop), deadline.within(self.seconds):
                work()
        except LeadershipLostError:
            raise
        except Exception as error:
            self._note_failure(item, error, late=self.clock() - started >= self.seconds)
            return error
        self._note_success(item, slow=self.clock() - started >= self.seconds / 3)
        return None

    def pause(self, item: str) -> float:
        """Return for how many seconds the item is to be left alone; 0 where it is due."""
        with self._lock:
            return max(0.0, self._due.get(item, 0.0) - self.clock())

    def is_troubled(self, item: str) -> bool:
        """Tell whether the item failed, or took long, the last time: others go first."""
        with self._lock:
            return item in self._failures or item in self._slow

    def keep(self, items: Collection[str]) -> None:
        """Forget all items but these."""
        with self._lock:
            for kept in (self._failures, self._due):
                for item in kept.keys() - items:
                    del kept[item]
            self._slow &= set(items)

    def note_hanging(self, item: str) -> None:
        """Count an item on which the work goes on beyond its deadline."""
        failed(self.loop)
        _log.warning("item hangs", extra={"loop": self.loop, "item": item})

    def _note_success(self, item: str, *, slow: bool) -> None:
        with self._lock:
            again = self._failures.pop(item, 0)
            self._due.pop(item, None)
            (self._slow.add if slow else self._slow.discard)(item)
        if again:
            _log.info("item works again", extra={"loop": self.loop, "item": item})

    def _note_failure(self, item: str, error: Exception, *, late: bool) -> None:
        # Beyond its deadline an item gets no answer from anybody, which says nothing of them.
        if isinstance(error, OUTAGES) and not late:
            with self._lock:
                self._due[item] = self.clock() + _AFTER_OUTAGE
            return
        with self._lock:
            times = self._failures[item] = self._failures.get(item, 0) + 1
            pause = min(_FIRST_PAUSE * 2 ** min(times - 1, 16), _LONGEST_PAUSE)
            self._due[item] = self.clock() + pause
        failed(self.loop)
        self._tell(item, error, times)

    def _tell(self, item: str, error: Exception, times: int) -> None:
        extra = {"loop": self.loop, "item": item, "times": times}
        if isinstance(error, VibeBoxError):
            _log.warning("item failed", extra={**extra, "why": reason(error)})
        else:
            _log.error("item failed", extra=extra, exc_info=error)
