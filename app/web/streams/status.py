"""The status of environments over WebSockets, looked at twice a second for all who watch it here.

No connection is held between two looks. Of all environments that somebody sees, a message tells of
each that is new or has changed, and of each that is gone. Those who see the same, as the tabs of
one person do, are looked at once. Of very many the newest are told of, so that nobody's list is
most of what the process does.
"""

import json
from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import select

from app.core.errors import EnvironmentNotFoundError
from app.domain.authorization import (
    Access,
    Action,
    Identity,
    environment_for,
    may_in,
    readable_projects,
)
from app.storage import Database, Environment, EnvironmentStatus, Project
from app.web.websockets.channel import Channel
from app.web.websockets.polling_hub import Observation, PollingHub, Source
from app.web.websockets.sockets import Opening

MOST = 1000
"""Environments in a list: a look at so many takes some ten milliseconds."""

Shown = Mapping[str, str]
"""A message for each environment, by its id."""


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


class StatusList:
    """Tells what the environments of somebody do."""

    def __init__(self, database: Database, hub: PollingHub) -> None:
        self._database = database
        self._hub = hub

    def open(self, identity: Identity) -> Opening:
        """Return what tells it. Raises: PermissionDeniedError."""
        may_in(identity, Action.ENVIRONMENT_READ)
        source = _Statuses(self._database, identity)

        def tell(channel: Channel) -> None:
            told: Shown = {}
            key = ("statuses", identity.user_id)
            with self._hub.watching(key, identity, source) as view:
                while (now := view.next(channel)) is not None:
                    _tell(channel, told, now)
                    told = now

        return Opening(Access(identity, Action.ENVIRONMENT_READ), tell)


def _tell(channel: Channel, before: Shown, now: Shown) -> None:
    for id, message in now.items():
        if before.get(id) != message:
            channel.send(message)
            channel.wait_for_room()
    for id in before.keys() - now.keys():
        channel.send(_message(id, None, None, None))
        channel.wait_for_room()


class _Statuses(Source[Shown]):
    """The environments of one person."""

    def __init__(self, database: Database, identity: Identity) -> None:
        self._database = database
        self._identity = identity

    def look(self, whos: Collection[Identity]) -> Observation[Shown]:
        """See `Source.look`; which environments there are is what their rights say."""
        seen = (
            select(
                Environment.id,
                Environment.status,
                Environment.error,
                Environment.status_changed_at,
            )
            .join(Project, Environment.project_id == Project.id)
            .where(readable_projects(self._identity))
            .order_by(Environment.created_at.desc(), Environment.id.desc())
            .limit(MOST)
        )
        with self._database.reading() as session:
            rows = session.execute(seen).all()
        return Observation({row.id: _message(*row) for row in rows})


def _message(
    id: str, status: EnvironmentStatus | None, error: str | None, at: datetime | None
) -> str:
    when = None if at is None else at.isoformat()
    return json.dumps({"id": id, "status": status, "error": error, "at": when})
