"""The status of environments over WebSockets, looked at twice a second for all who watch it here.

No connection is held between two looks.
"""

import json
from collections.abc import Collection

from app.core.errors import EnvironmentNotFoundError
from app.domain.authorization import Access, Action, Identity, environment_for
from app.storage import Database, Environment
from app.web.streams.status_list import StatusList
from app.web.websockets.channel import Channel
from app.web.websockets.polling_hub import Observation, PollingHub, Source
from app.web.websockets.sockets import Opening


class StatusStream:
    """Tells what an environment does: at the beginning, and whenever that changes."""

    def __init__(self, database: Database, hub: PollingHub) -> None:
        self._database = database
        self._hub = hub
        self._list = StatusList(database, hub)

    def open(self, identity: Identity, environment_id: str) -> Opening:
        """Return what tells it. Raises: EnvironmentNotFoundError, PermissionDeniedError."""
        first = self._look(identity, environment_id)

        def tell(channel: Channel) -> None:
            told = first
            channel.send(told)
            source = _Status(self._database, environment_id)
            key = ("status", environment_id)
            with self._hub.watching(key, identity, source) as view:
                while (now := view.next(channel)) is not None:
                    if now != told:
                        channel.send(now)
                        told = now

        return Opening(Access(identity, Action.ENVIRONMENT_READ, environment_id), tell)

    def open_all(self, identity: Identity) -> Opening:
        """Return what tells of every environment that the caller sees."""
        return self._list.open(identity)

    def _look(self, identity: Identity, environment_id: str) -> str:
        with self._database.reading() as session:
            return _shown(
                environment_for(session, identity, environment_id, Action.ENVIRONMENT_READ)
            )


class _Status(Source[str]):
    """One environment, as all its viewers see it."""

    def __init__(self, database: Database, environment_id: str) -> None:
        self._database = database
        self._environment_id = environment_id

    def look(self, whos: Collection[Identity]) -> Observation[str]:
        """See `Source.look`."""
        with self._database.reading() as session:
            environment = session.get(Environment, self._environment_id)
            if environment is None:
                raise EnvironmentNotFoundError
            return Observation(_shown(environment))


def _shown(environment: Environment) -> str:
    return json.dumps(
        {
            "status": environment.status,
            "error": environment.error,
            "at": environment.status_changed_at.isoformat(),
        }
    )
