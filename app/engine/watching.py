"""The door's streams: events, and what containers print."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from app.engine.answers import describing
from app.engine.calls import EngineCalls, checked
from app.engine.client import EngineClient
from app.engine.events import EventDecoder
from app.engine.log_following import LogFollower
from app.engine.log_lines import LogDecoder
from app.engine.streams import Decoder, EngineStream, StreamVigil
from app.engine.values import ENVIRONMENT_LABEL, ContainerEvent, LogLine

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EVENTS_OF_ENVIRONMENTS = json.dumps({"type": ["container"], "label": [ENVIRONMENT_LABEL]})


class Streams(EngineCalls):
    """What the engine goes on telling; each stream has a connection of its own."""

    def logs(
        self, container: str, *, since_ns: int | None = None, follow: bool = False
    ) -> EngineStream[LogLine] | LogFollower:
        """See `Engine.logs`."""
        open_log = partial(self._open_log, checked(container))
        return LogFollower(open_log, since_ns) if follow else open_log(since_ns, False)

    def events(self, since_ns: int | None = None) -> EngineStream[ContainerEvent]:
        """See `Engine.events`."""
        with self._call(self._query_timeout) as client:
            # The engine sends the headers before it begins to listen (20.10): what happens in
            # between would be lost, were it not asked for by its time.
            since = _moment(_now_of(client) if since_ns is None else since_ns)
            parameters = {"filters": _EVENTS_OF_ENVIRONMENTS, "since": since}
            return self._stream(client, "/events", parameters, EventDecoder())

    def _open_log(
        self, container: str, since_ns: int | None, follow: bool
    ) -> EngineStream[LogLine]:
        parameters = {"stdout": "1", "stderr": "1", "timestamps": "1", "tail": "all"}
        if since_ns is not None:
            parameters["since"] = _moment(since_ns)
        if follow:
            parameters["follow"] = "1"
        with self._call(self._query_timeout) as client:
            return self._stream(client, f"/containers/{container}/logs", parameters, LogDecoder())

    def _stream(
        self, client: EngineClient, path: str, parameters: Mapping[str, str], decoder: Decoder[T]
    ) -> EngineStream[T]:
        connection, response = client.follow(path, parameters)
        connection.follow(StreamVigil(self._pulse))
        return EngineStream(connection, response, decoder)


def _now_of(client: EngineClient) -> int:
    """Return the time by the engine's own clock, which may be on another host."""
    with describing("itself"):
        now = datetime.fromisoformat(client.info()["SystemTime"])
    return (now - _EPOCH) // timedelta(microseconds=1) * 1000


def _moment(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{seconds}.{rest:09}"
