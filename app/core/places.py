"""A number of places, of which no account can take all, whatever it opens.

An account that has none yet gets any free place. One that has some gets another while it has fewer
than are left: alone it takes half of them, and less the more accounts hold some. So there is
always room for who comes next, without numbers that only fit one size of server.
"""

import threading
from collections import Counter
from collections.abc import Callable

from app.core.errors import Limit, LimitError, ShareExceededError


class Places:
    """`number` places; `share` is what an account is refused by, `full` when all are taken.

    Without `share` an account may take all of them; `most` is how many it may have in any case,
    `spare` how many are for accounts that have none.
    """

    def __init__(
        self,
        number: int,
        share: Limit | None,
        full: type[LimitError],
        most: int | None = None,
        spare: int = 0,
    ) -> None:
        self.number = number
        self._spare = spare
        self._most = number if most is None else most
        self._share = share
        self._full = full
        self._by_owner: Counter[str] = Counter()
        self._taken = 0
        self._lock = threading.Lock()

    def take(self, owner: str) -> "Place":
        """Take a place for `owner`. Raises: ShareExceededError, or that all are taken."""
        with self._lock:
            mine, left = self._by_owner.get(owner, 0), self.number - self._taken
            if left <= 0:
                raise self._full()
            if self._share is not None and mine and mine >= min(left - self._spare, self._most):
                raise ShareExceededError(self._share, mine)
            self._by_owner[owner] += 1
            self._taken += 1
        return Place(lambda: self._give_back(owner))

    def _give_back(self, owner: str) -> None:
        with self._lock:
            self._taken -= 1
            self._by_owner[owner] -= 1
            if not self._by_owner[owner]:
                del self._by_owner[owner]


class Place:
    """What was taken."""

    def __init__(self, *give_back: Callable[[], None]) -> None:
        self._give_back = give_back
        self._lock = threading.Lock()

    def close(self) -> None:
        """Give it back; doing so again, from whatever thread, changes nothing."""
        with self._lock:
            calls, self._give_back = self._give_back, ()
        for call in calls:
            call()


def take_all(places: tuple[Places, ...], owner: str) -> Place:
    """Take a place of each, or none. Raises: as `Places.take`."""
    taken: list[Place] = []
    try:
        for one in places:
            taken.append(one.take(owner))
    except BaseException:
        for place in taken:
            place.close()
        raise
    return Place(*(place.close for place in taken))
