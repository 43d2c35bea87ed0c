"""Whose pulls go on: a share for each account, and none that keeps the others from theirs.

Docker Engine downloads a few layers at once (three, unless its `max-concurrent-downloads` says
otherwise), of whatever pulls there are: one image whose layers drip is enough to keep everybody
waiting, and whoever waits looks as slow as what they wait for. So of those that bring next to
nothing the oldest gives way, while an account beside it waits; if that does not help, the next.

A registry that says nothing at all keeps nothing from Docker, but a place here. An account that has
none gets one of those that only such accounts get, or the place of a pull that brings nothing.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection

from app.core.places import Place
from app.engine import Cut, PullProgress

SPARE = 2
"""Places that only an account without a pull gets."""

AT_ONCE = 6 + SPARE
"""Pulls that go on at once; an account has half of those that are not spare at most. More keeps
more layers waiting for each other in Docker, less makes more starts wait for their turn."""

WINDOW = 60.0
"""Seconds over which it is judged whether a pull brings anything; no younger one gives way."""

LEAST = 64 * 1024
"""Bytes a second that a pull has to bring for others to wait for it."""

KEPT = 10.0
"""Seconds without a byte after which a pull may be kept waiting by others."""

PATIENCE = 15.0
"""Seconds between two that give way: whether the first one helped shows by then."""

_LOADED = frozenset(
    ("Verifying Checksum", "Download complete", "Extracting", "Pull complete", "Already exists")
)
"""What Docker calls a layer that needs no connection any more."""


class Running:
    """A pull that goes on in a thread of this process, in the name of an account.

    `note` and `leave` are called by that thread, all else by the one that drives the pulls.
    """

    def __init__(
        self, account: str, place: Place, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.account = account
        self.cut = Cut()
        self.reason: Exception | None = None
        self.begun = clock()
        self.is_over = False
        self._place = place
        self._clock = clock
        self._lock = threading.Lock()
        # (moment, bytes that were there by then); the first is the last before the window.
        self._seen: deque[tuple[float, int]] = deque([(self.begun, 0)])
        self._loaded = False

    def note(self, progress: PullProgress) -> None:
        """Remember how far it is."""
        now = self._clock()
        statuses = {layer.status for layer in progress.layers}
        with self._lock:
            self._loaded = bool(statuses) and statuses <= _LOADED
            self._seen.append((now, progress.bytes_done))
            while len(self._seen) > 1 and self._seen[1][0] <= now - WINDOW:
                self._seen.popleft()

    @property
    def is_slow(self) -> bool:
        """Whether it has brought next to nothing for as long as that can be judged."""
        return self._brings_less(WINDOW, LEAST * WINDOW)

    @property
    def is_kept(self) -> bool:
        """Whether it may be one that others keep waiting: it brings nothing at all."""
        return self._brings_less(KEPT, 1)

    def end(self, reason: Exception) -> None:
        """End it for a reason, which its thread raises; its place is free at once."""
        if self.reason is None:
            self.reason = reason
            self.cut.cut()
        self.leave()

    def leave(self) -> None:
        """Give the place back; doing so again changes nothing."""
        self.is_over = True
        self._place.close()

    def _brings_less(self, seconds: float, number: float) -> bool:
        """Tell whether fewer bytes came in the past seconds; False where it is younger."""
        since = self._clock() - seconds
        with self._lock:
            if self._loaded or self.begun > since:
                return False
            before = max(done for at, done in self._seen if at <= since)
            return self._seen[-1][1] - before < number


class Turns:
    """Decides which pull gives way, and whose is next."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._quiet_until = 0.0
        self._put_back: dict[str, float] = {}

    def last_put_back(self, account: str) -> float:
        """Return when a pull of the account was put back last, 0 for never: the least is next."""
        return self._put_back.get(account, 0.0)

    def put_back(self, account: str, waiting: Collection[str]) -> None:
        """Have the account wait behind all others that are `waiting`."""
        self._put_back = {one: at for one, at in self._put_back.items() if one in waiting}
        self._put_back[account] = self._clock()

    def gives_place(self, running: Collection[Running], waiting: Collection[str]) -> Running | None:
        """Return the pull whose place an account gets that waits and has none, None for no one's.

        It is one that brings nothing, of an account that has as many as any, and the oldest.
        """
        having = Counter(one.account for one in running)
        if having.keys() >= set(waiting):
            return None
        silent = [one for one in running if one.is_kept]
        return min(silent, key=lambda one: (-having[one.account], one.begun), default=None)

    def gives_way(self, running: Collection[Running], waiting: Collection[str]) -> Running | None:
        """Return the pull that has to end now for others, None where none has to.

        `waiting` are the accounts whose pulls wait for a place.
        """
        now = self._clock()
        if now < self._quiet_until:
            return None
        for one in sorted((one for one in running if one.is_slow), key=lambda one: one.begun):
            kept = {*waiting, *(other.account for other in running if other.is_kept)}
            if kept - {one.account}:
                self._quiet_until = now + PATIENCE
                return one
        return None
