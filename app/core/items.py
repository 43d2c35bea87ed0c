"""The loop over many items, by turns: in threads of its own, or in that of the caller.

Whoever was served longest ago is served first. In threads, half of the places are kept for items
that are well: those that hang or fail, however many, only ever wait for each other.
"""

import threading
from collections.abc import Callable, Collection
from functools import partial
from itertools import count
from time import monotonic

from app.core.errors import LeadershipLostError
from app.core.isolation import OUTAGES, Isolation, Loop

# Work that goes on beyond its deadline by this factor is given up: its place is another's.
_OVERDUE = 2.0
# So many given up threads may go on beside those that have a place.
_MOST_GIVEN_UP = 3
# After so many outages in a row the rest of a round would only wait for the same.
_OUTAGES = 3
# An item that was served in threads may be gone from the next list and come back in the one after.
_MOST_REMEMBERED = 10_000


class Items:
    """The items of one loop. One thread calls `begin` and `close`; see `Isolation`."""

    def __init__(
        self,
        loop: Loop,
        *,
        seconds: float,
        at_once: int = 1,
        on_lost: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Describe the loop.

        Args:
            loop: Under which its failures are counted.
            seconds: Deadline of each item, each time.
            at_once: Threads; more serve more items that are slow, at the cost of Docker.
            on_lost: Called where an item says that another agent leads.
            clock: A monotonic clock.
        """
        self.isolation = Isolation(loop, seconds, clock=clock)
        self._at_once = at_once
        self._on_lost = on_lost
        self._clock = clock
        self._turn = count(1)
        self._served: dict[str, int] = {}
        self._lock = threading.Lock()
        self._busy: dict[str, _Busy] = {}
        self._closed = False

    def begin(self, items: Collection[str], work: Callable[[str], object]) -> None:
        """Begin to work on those whose turn it is and for whom there is room; returns at once."""
        with self._lock:
            busy = dict(self._busy)
        self._give_up_hanging(busy)
        self._forget(items, busy)
        due = [item for item in items if item not in busy and not self.isolation.pause(item)]
        for item in self._in_turn(due):
            if self._closed or not self._has_room(item):
                continue
            self._served[item] = next(self._turn)
            started = _Busy(self._clock(), self.isolation.is_troubled(item))
            with self._lock:
                self._busy[item] = started
            started.thread = threading.Thread(
                target=self._run, args=(item, work), name=self.isolation.loop, daemon=True
            )
            started.thread.start()

    def go_through(
        self,
        items: Collection[str],
        work: Callable[[str], object],
        over: Callable[[], bool] = lambda: False,
    ) -> None:
        """Work on all that are due, one after the other, until `over` says so.

        For work that takes moments each. Raises: LeadershipLostError; StorageError and
        EngineUnreachableError once all were tried, or several in a row in vain.
        """
        self._forget(items, {})
        outages, down = 0, None
        due = [item for item in items if not self.isolation.pause(item)]
        for item in self._in_turn(due):
            if over() or outages >= _OUTAGES:
                break
            self._served[item] = next(self._turn)
            error = self.isolation.error_of(item, partial(work, item))
            if isinstance(error, OUTAGES):
                outages, down = outages + 1, error
            else:
                outages = 0
        if down is not None:
            raise down

    def close(self, seconds: float) -> list[str]:
        """Begin nothing any more, and wait for what goes on; return what still does then."""
        self._closed = True
        ends_at = self._clock() + seconds
        with self._lock:
            busy = dict(self._busy)
        for going_on in busy.values():
            if going_on.thread is not None:
                going_on.thread.join(max(0.0, ends_at - self._clock()))
        with self._lock:
            return list(self._busy)

    @property
    def busy(self) -> int:
        """How many items are worked on now."""
        with self._lock:
            return len(self._busy)

    def _run(self, item: str, work: Callable[[str], object]) -> None:
        try:
            self.isolation.attempt(item, partial(work, item))
        except LeadershipLostError:
            self._on_lost()
        finally:
            with self._lock:
                self._busy.pop(item, None)

    def _in_turn(self, items: Collection[str]) -> list[str]:
        return sorted(items, key=lambda item: self._served.get(item, 0))

    def _has_room(self, item: str) -> bool:
        with self._lock:
            going_on = [busy for busy in self._busy.values() if not busy.given_up]
            if len(self._busy) >= self._at_once + _MOST_GIVEN_UP:
                return False
            if len(going_on) >= self._at_once:
                return False
            troubled = sum(busy.troubled for busy in going_on)
        return not self.isolation.is_troubled(item) or troubled < max(1, self._at_once // 2)

    def _give_up_hanging(self, busy: dict[str, "_Busy"]) -> None:
        late = self._clock() - _OVERDUE * self.isolation.seconds
        for item, going_on in busy.items():
            if not going_on.given_up and going_on.since < late:
                going_on.given_up = True
                self.isolation.note_hanging(item)

    def _forget(self, items: Collection[str], busy: Collection[str]) -> None:
        wanted = set(items) | set(busy)
        self.isolation.keep(wanted)
        if len(self._served) > _MOST_REMEMBERED:
            self._served = {item: self._served[item] for item in self._served.keys() & wanted}


class _Busy:
    """Work on one item; `given_up` where it goes on far beyond its deadline."""

    def __init__(self, since: float, troubled: bool) -> None:
        self.since = since
        self.troubled = troubled
        self.given_up = False
        self.thread: threading.Thread | None = None
