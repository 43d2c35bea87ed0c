"""The status of environments over WebSockets, looked at twice a second for all who watch it here.

No connection is held between two looks. Of all environments that somebody sees, a message tells of
each that is new or has changed, and of each that is gone. Those who see the same, as the tabs of
one person do, are looked at once. Of very many the newest are told of, so that nobody's list is
most of what the process does.
"""

import json
from collections.abc import Collection, Mapping

from app.domain.authorization import Access, Action, Identity, may_in
from app.domain.environments.statuses import Status, StatusRecords
from app.web.websockets.channel import Channel
from app.web.websockets.polling_hub import Observation, PollingHub, Source
from app.web.websockets.sockets import Opening

MOST = 1000
"""Environments in a list: a look at so many takes some ten milliseconds."""

Shown = Mapping[str, str]
"""A message for each environment, by its id."""

_GONE = {"status": None, "error": None, "at": None}


class StatusStream:
    """Tells what an environment does: at the beginning, and whenever that changes."""

    def __init__(self, statuses: StatusRecords, hub: PollingHub) -> None:
        self._statuses = statuses
        self._hub = hub
        self._list = StatusList(statuses, hub)

    def open(self, identity: Identity, environment_id: str) -> Opening:
        """Return what tells it. Raises: EnvironmentNotFoundError, PermissionDeniedError."""
        first = _shown(self._statuses.get(identity, environment_id))

        def tell(channel: Channel) -> None:
            told = first
            channel.send(told)
            source = _Status(self._statuses, environment_id)
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


class _Status(Source[str]):
    """One environment, as all its viewers see it."""

    def __init__(self, statuses: StatusRecords, environment_id: str) -> None:
        self._statuses = statuses
        self._environment_id = environment_id

    def look(self, whos: Collection[Identity]) -> Observation[str]:
        """See `Source.look`."""
        return Observation(_shown(self._statuses.look(self._environment_id)))


def _shown(now: Status) -> str:
    return json.dumps(_fields(now))


class StatusList:
    """Tells what the environments of somebody do."""

    def __init__(self, statuses: StatusRecords, hub: PollingHub) -> None:
        self._statuses = statuses
        self._hub = hub

    def open(self, identity: Identity) -> Opening:
        """Return what tells it. Raises: PermissionDeniedError."""
        may_in(identity, Action.ENVIRONMENT_READ)
        source = _Statuses(self._statuses, identity)

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
        channel.send(_message(id, None))
        channel.wait_for_room()


class _Statuses(Source[Shown]):
    """The environments of one person."""

    def __init__(self, statuses: StatusRecords, identity: Identity) -> None:
        self._statuses = statuses
        self._identity = identity

    def look(self, whos: Collection[Identity]) -> Observation[Shown]:
        """See `Source.look`; which environments there are is what their rights say."""
        seen = self._statuses.list(self._identity, limit=MOST)
        return Observation({now.id: _message(now.id, now) for now in seen})


def _message(id: str, now: Status | None) -> str:
    return json.dumps({"id": id, **(_GONE if now is None else _fields(now))})


def _fields(now: Status) -> dict[str, str | None]:
    return {"status": now.status, "error": now.error, "at": now.at.isoformat()}
