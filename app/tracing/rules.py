"""Which traces are kept: decided when it is known how they ended.

Failures and what is slow are always kept, then some in which a call failed and nobody was told of
it as a failure, what a caller whom we know has sampled, as long as that is not too many, and a
share of the rest, by its trace id: so that all processes of a trace decide alike. What an exemplar
is about to name is kept too (see `Recorder.keep_named`).
"""

from collections.abc import Callable
from enum import StrEnum
from threading import Lock
from time import monotonic

from app.core.trace_context import Trace

SLOW_SECONDS = 1.0
"""Longer is slow on any route."""
FLOOR_SECONDS = 0.01
"""Shorter is slow on no route: what is usual of one is followed down to this, and no further."""
# A step up, for what is above, is 99 steps down: they are in balance where 1 % is above.
_STEP = 0.0005
_DOWN, _UP = 1 - _STEP, 1 + 99 * _STEP
_SETTLED_A_SECOND = 0.1
"""Traces of one kind that are kept since a call failed, where the whole did not: a name that is
taken is a failed statement too, and anybody can ask for it all day."""
_MOST_ROUTES = 1000
_LEAST_SEEN = 200
"""Requests after which the estimate of a route is believed."""
_ID_BITS = 56
_ID_DIGITS = _ID_BITS // 4


class Reason(StrEnum):
    """Why a trace is kept."""

    FAILED = "failed"
    SLOW = "slow"
    CALLER = "caller"
    EXEMPLAR = "exemplar"
    RATIO = "ratio"


class Quantile:
    """Follows the 99th percentile of durations, in the space of two (the frugal stream algorithm).

    Ma, Muthukrishnan, Sandler: Frugal Streaming for Estimating Quantiles (2013); steps are shares
    of the estimate, since durations spread over decades.
    """

    __slots__ = ("seen", "value")

    def __init__(self) -> None:
        self.value = FLOOR_SECONDS
        self.seen = 0

    def exceeded(self, seconds: float) -> bool:
        """Take a duration up; tell whether it is above what 99 of 100 are."""
        self.seen = seen = self.seen + 1
        value = self.value
        if seconds > value:
            self.value = value * _UP
            return seen > _LEAST_SEEN
        if value > FLOOR_SECONDS:
            self.value = max(value * _DOWN, FLOOR_SECONDS)
        return False


class Rate:
    """Lets so many through in a second, and as many at once."""

    def __init__(self, a_second: float, now: Callable[[], float] = monotonic) -> None:
        self._a_second = a_second
        self._now = now
        self._left = max(1.0, a_second) if a_second else 0.0
        self._at = now()
        self._lock = Lock()

    def take(self) -> bool:
        """Tell whether one more is let through."""
        with self._lock:
            now = self._now()
            passed, self._at = now - self._at, now
            most = max(1.0, self._a_second)
            self._left = min(most, self._left + passed * self._a_second)
            if self._left < 1:
                return False
            self._left -= 1
            return True


class Rules:
    """Decides for one process."""

    def __init__(
        self, ratio: float, callers_a_second: float, now: Callable[[], float] = monotonic
    ) -> None:
        """ratio: the share of ordinary traces, 0 to 1; callers_a_second: how many are kept because
        their caller sampled them."""
        self._below = round(ratio * (1 << _ID_BITS))
        self._now = now
        self._callers = Rate(callers_a_second, now)
        self._usual: dict[str, Quantile] = {}
        self._settled: dict[str, Rate] = {}

    def reason(self, trace: Trace, kind: str, seconds: float | None, failed: bool) -> Reason | None:
        """Return why the trace is kept, None where it is not.

        kind: what it is compared with (its route, its task), of closed values; seconds: None where
        it takes long by design.
        """
        is_slow = False
        if seconds is not None:
            usual = self._usual.get(kind) or self._new(kind)
            if seconds > usual.value or usual.value > FLOOR_SECONDS:
                is_slow = usual.exceeded(seconds) or seconds > SLOW_SECONDS
            else:  # as most are: written out, since a call costs more than all of this
                usual.seen += 1
        if failed or (trace.spans and any(span[-1] for span in trace.spans) and self._room(kind)):
            return Reason.FAILED
        if is_slow:
            return Reason.SLOW
        if trace.sampled_by_known and self._callers.take():
            return Reason.CALLER
        return Reason.RATIO if self._below and self.is_share(trace) else None

    def is_share(self, trace: Trace) -> bool:
        """Tell whether the trace is one of the share that is kept.

        Who chooses the id of the trace would choose this too: where it is not ours, the span's
        decides.
        """
        id = trace.trace_id if trace.is_ours else trace.span_id
        return int(id[-_ID_DIGITS:], 16) < self._below

    def _room(self, kind: str) -> bool:
        """Tell whether one more is kept in which a call failed, and the whole did not."""
        if len(self._settled) >= _MOST_ROUTES:
            self._settled.clear()
        return self._settled.setdefault(kind, Rate(_SETTLED_A_SECOND, self._now)).take()

    def _new(self, kind: str) -> Quantile:
        if len(self._usual) >= _MOST_ROUTES:
            self._usual.clear()
        return self._usual.setdefault(kind, Quantile())
