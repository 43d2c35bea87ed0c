"""The status of environments over WebSockets, looked at twice a second for all who watch it here.

No connection is held between two looks, and the right to look is asked for at each.
"""

import json
from collections.abc import Callable, Collection

from app.authorization import Action, Identity, environment_for, environment_for_all
from app.environments.status_list import StatusList
from app.storage import Database, Environment
from app.websockets.channel import Channel
from app.websockets.lookout import Look, Lookout, Subject


class StatusStream:
    """Tells what an environment does: at the beginning, and whenever that changes."""

    def __init__(self, database: Database, lookout: Lookout) -> None:
        self._database = database
        self._lookout = lookout
        self._list = StatusList(database, lookout)

    def open(self, identity: Identity, environment_id: str) -> Callable[[Channel], None]:
        """Return what tells a channel. Raises: EnvironmentNotFoundError, PermissionDeniedError."""
        first = self._look(identity, environment_id)

        def tell(channel: Channel) -> None:
            told = first
            channel.send(told)
            subject = _Status(self._database, environment_id)
            key = ("status", environment_id)
            with self._lookout.watching(key, identity, subject) as view:
                while (now := view.next(channel)) is not None:
                    if now != told:
                        channel.send(now)
                        told = now

        return tell

    def open_all(self, identity: Identity) -> Callable[[Channel], None]:
        """Return what tells a channel of every environment that the caller sees."""
        return self._list.open(identity)

    def _look(self, identity: Identity, environment_id: str) -> str:
        with self._database.reading() as session:
            return _shown(
                environment_for(session, identity, environment_id, Action.ENVIRONMENT_READ)
            )


class _Status(Subject[str]):
    """One environment, as all its viewers see it."""

    def __init__(self, database: Database, environment_id: str) -> None:
        self._database = database
        self._environment_id = environment_id

    def look(self, whos: Collection[Identity]) -> Look[str]:
        """See `Subject.look`."""
        with self._database.reading() as session:
            environment, refused = environment_for_all(
                session, whos, self._environment_id, Action.ENVIRONMENT_READ
            )
            return Look("" if environment is None else _shown(environment), refused)


def _shown(environment: Environment) -> str:
    return json.dumps(
        {
            "status": environment.status,
            "error": environment.error,
            "at": environment.status_changed_at.isoformat(),
        }
    )
