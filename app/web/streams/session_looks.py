"""Whether sessions go on, and that they are used: one look for all terminals of this process."""

from collections.abc import Callable, Collection
from time import monotonic

from app.core.errors import SessionConflictError
from app.domain.sessions.records import ENDED
from app.domain.sessions.watched import WatchedSessions
from app.web.websockets.polling_hub import Observation, Source

SECONDS = 5.0
"""How often it is looked whether sessions go on, and noted that they are used."""


class SessionLooks(Source[bool]):
    """The sessions that have a terminal in this process, by id.

    Who watches one that has ended is refused with SessionConflictError.
    """

    def __init__(self, sessions: WatchedSessions, clock: Callable[[], float] = monotonic) -> None:
        self._sessions = sessions
        self._clock = clock
        self._due = 0.0
        self._used: set[str] = set()

    def note_use(self, session_id: str) -> None:
        """Remember that a session is used; from any thread, at each message."""
        self._used.add(session_id)

    def look(self, whos: Collection[str]) -> Observation[bool]:
        """See `Source.look`; most looks find that it is too soon."""
        if self._clock() < self._due:
            return Observation(True)
        used = set(self._used)
        alive = self._sessions.look(whos, used)
        # Only now: what a failed look would have noted is noted by the next one.
        self._used -= used
        self._due = self._clock() + SECONDS
        return Observation(
            True, {id: SessionConflictError(ENDED) for id in whos if id not in alive}
        )
