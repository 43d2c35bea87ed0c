"""Whether what is open may stay open: one look a second for all of it in this process.

A credential's end is the end of what it opened, and so is the loss of the role or scope that it
needs. This is the one place that says so, for WebSockets, event streams, waiting requests and
uploads alike. The looks ask the database, which all processes share: who revokes tells nobody.
"""

from collections.abc import Collection

from app.core.deadline import within
from app.core.errors import VibeBoxError
from app.domain.accounts.validity import Credential, ended
from app.domain.authorization import Access, refusals
from app.storage import Database
from app.web.websockets.polling_hub import Observation, Source

PAUSE = 1.0
"""Seconds between two looks. What is revoked ends within this, the look, and a second in which the
peer may answer the close: well below the five seconds that are promised."""

_SECONDS = 5.0
"""How long a look may take: a database that hangs counts as one that does not answer."""


class AccessLooks(Source[bool]):
    """All that is open in this process, by what it needs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def look(self, whos: Collection[Access]) -> Observation[bool]:
        """See `Source.look`: two or three statements, however much is open."""
        of = {one: Credential.of(one.identity) for one in whos}
        with within(_SECONDS), self._database.reading() as session:
            refused = refusals(session, whos)
            over = ended(session, set(of.values()))
        # The end of the credential says more than what follows from it.
        told: dict[Access, VibeBoxError] = refused | {
            one: over[credential] for one, credential in of.items() if credential in over
        }
        return Observation(True, told)
