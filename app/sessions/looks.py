"""Whether sessions go on, and who uses them: one look for all terminals of this process."""

from collections import defaultdict
from collections.abc import Callable, Collection
from time import monotonic
from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.authorization import Action, Identity, environment_for_all
from app.environments.session_rows import living
from app.errors import (
    EnvironmentNotFoundError,
    SessionConflictError,
    SessionNotFoundError,
    VibeBoxError,
)
from app.sessions.records import ENDED
from app.storage import Database, EnvironmentSession, SessionStatus, db_now
from app.websockets.lookout import Look, Subject

SECONDS = 5.0
"""How often it is looked whether sessions go on, and noted that they are used."""


class User(NamedTuple):
    """Who uses which session, of which environment."""

    identity: Identity
    session_id: str
    environment_id: str


class SessionLooks(Subject[bool]):
    """The sessions that have a terminal in this process.

    A user is refused with SessionConflictError when the session has ended, and with what
    `app.authorization` says when it is theirs no more.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = monotonic) -> None:
        self._database = database
        self._clock = clock
        self._due = 0.0
        self._used: set[str] = set()

    def note_use(self, session_id: str) -> None:
        """Remember that a session is used; from any thread, at each message."""
        self._used.add(session_id)

    def look(self, whos: Collection[User]) -> Look[bool]:
        """See `Subject.look`; most looks find that it is too soon."""
        if self._clock() < self._due:
            return Look(True)
        self._due = self._clock() + SECONDS
        used = {self._used.pop() for _ in range(len(self._used))}
        transaction = self._database.writing() if used else self._database.reading()
        with transaction as session:
            refused = _refused(session, whos)
            mine = EnvironmentSession.id.in_({who.session_id for who in whos}) & living()
            alive = set(session.scalars(select(EnvironmentSession.id).where(mine)))
            allowed = {who.session_id for who in whos if who not in refused}
            _note(session, used & alive & allowed)
        for who in whos:
            if who.session_id not in alive:
                refused.setdefault(who, SessionConflictError(ENDED))
        return Look(True, refused)


def _refused(session: Session, whos: Collection[User]) -> dict[User, VibeBoxError]:
    """Return those who may not use their session any more, with the reason."""
    refused: dict[User, VibeBoxError] = {}
    by_environment: dict[str, list[User]] = defaultdict(list)
    for who in whos:
        by_environment[who.environment_id].append(who)
    for environment_id, some in by_environment.items():
        identities = {who.identity for who in some}
        _, reasons = environment_for_all(session, identities, environment_id, Action.SESSION_USE)
        for who in some:
            reason = reasons.get(who.identity)
            if isinstance(reason, EnvironmentNotFoundError):
                reason = SessionNotFoundError()
            if reason is not None:
                refused[who] = reason
    return refused


def _note(session: Session, used: set[str]) -> None:
    if used:
        session.execute(
            update(EnvironmentSession)
            # In the order of their ids: who changes several at once locks no other out for good.
            .where(EnvironmentSession.id.in_(sorted(used)), living())
            .values(last_active_at=db_now(), status=SessionStatus.ACTIVE)
        )
