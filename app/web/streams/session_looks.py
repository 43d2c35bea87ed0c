"""Whether sessions go on, and that they are used: one look for all terminals of this process."""

from collections.abc import Callable, Collection
from time import monotonic

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.core.errors import SessionConflictError
from app.domain.sessions.records import ENDED, is_to_end
from app.domain.sessions.rows import living
from app.storage import Database, EnvironmentSession, SessionStatus, db_now
from app.web.websockets.polling_hub import Observation, Source

SECONDS = 5.0
"""How often it is looked whether sessions go on, and noted that they are used."""


class SessionLooks(Source[bool]):
    """The sessions that have a terminal in this process, by id.

    Who watches one that has ended is refused with SessionConflictError.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = monotonic) -> None:
        self._database = database
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
        transaction = self._database.writing() if used else self._database.reading()
        with transaction as session:
            mine = EnvironmentSession.id.in_(whos) & living() & ~is_to_end()
            alive = set(session.scalars(select(EnvironmentSession.id).where(mine)))
            _note(session, used & alive)
        # Only now: what a failed look would have noted is noted by the next one.
        self._used -= used
        self._due = self._clock() + SECONDS
        return Observation(
            True, {id: SessionConflictError(ENDED) for id in whos if id not in alive}
        )


def _note(session: Session, used: set[str]) -> None:
    if used:
        session.execute(
            update(EnvironmentSession)
            # In the order of their ids: who changes several at once locks no other out for good.
            .where(EnvironmentSession.id.in_(sorted(used)), living())
            .values(last_active_at=db_now(), status=SessionStatus.ACTIVE)
        )
