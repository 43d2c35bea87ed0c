"""The status of an environment over a WebSocket, read from the database twice a second.

No connection is held between two looks, and the right to look is asked for at each.
"""

import json
from collections.abc import Callable

from app.authorization import Action, Identity, environment_for
from app.environments.waiting import POLL_SECONDS
from app.storage import Database
from app.websockets.channel import Channel


class StatusStream:
    """Tells what an environment does: at the beginning, and whenever that changes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, identity: Identity, environment_id: str) -> Callable[[Channel], None]:
        """Return what tells a channel. Raises: EnvironmentNotFoundError, PermissionDeniedError."""
        first = self._look(identity, environment_id)

        def tell(channel: Channel) -> None:
            look = first
            channel.send(look)
            while channel.open:
                channel.idle(POLL_SECONDS)
                before, look = look, self._look(identity, environment_id)
                if look != before:
                    channel.send(look)

        return tell

    def _look(self, identity: Identity, environment_id: str) -> str:
        with self._database.reading() as session:
            environment = environment_for(
                session, identity, environment_id, Action.ENVIRONMENT_READ
            )
            return json.dumps(
                {
                    "status": environment.status,
                    "error": environment.error,
                    "at": environment.status_changed_at.isoformat(),
                }
            )
