"""The gateway's streams: events, and what containers print."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from http.client import HTTPResponse
from typing import TypeVar

from app.engine.answers import describing
from app.engine.calls import EngineCalls, checked
from app.engine.client import EngineClient
from app.engine.events import EventDecoder
from app.engine.log_following import LogFollower
from app.engine.log_lines import LogDecoder
from app.engine.streams import Decoder, EngineStream, StreamIdlePolicy
from app.engine.transport import DeadlineSocket
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
        return LogFollower(open_log, since_ns) if follow else open_log(since_ns=since_ns)

    def events(self, since_ns: int | None = None) -> EngineStream[ContainerEvent]:
        """See `Engine.events`."""
        with self._call(self._query_timeout) as client:
            # The engine sends the headers before it begins to listen (20.10): what happens in
            # between would be lost, were it not asked for by its time.
            since = _moment(_now_of(client) if since_ns is None else since_ns)
            parameters = {"filters": _EVENTS_OF_ENVIRONMENTS, "since": since}
            idle_policy = StreamIdlePolicy(self._probe)
            return _stream(client.follow("/events", parameters), EventDecoder(), idle_policy)

    def _open_log(
        self,
        container: str,
        *,
        since_ns: int | None = None,
        tail: int | None = None,
        bell_seconds: float | None = None,
        connecting: Callable[[DeadlineSocket], None] | None = None,
    ) -> EngineStream[LogLine]:
        """Open the log; with `bell_seconds` follow it, for no longer than that in silence."""
        parameters = {"stdout": "1", "stderr": "1", "timestamps": "1"}
        parameters["tail"] = "all" if tail is None else str(tail)
        if since_ns is not None:
            parameters["since"] = _moment(since_ns)
        if bell_seconds is not None:
            parameters["follow"] = "1"
        path = f"/containers/{container}/logs"
        with self._call(self._query_timeout) as client:
            idle_policy = StreamIdlePolicy(self._probe, bell_seconds)
            return _stream(client.follow(path, parameters, connecting), LogDecoder(), idle_policy)


def _stream(
    answer: tuple[DeadlineSocket, HTTPResponse], decoder: Decoder[T], idle_policy: StreamIdlePolicy
) -> EngineStream[T]:
    connection, response = answer
    connection.follow(idle_policy)
    return EngineStream(connection, response, decoder)


def _now_of(client: EngineClient) -> int:
    """Return the time by the engine's own clock, which may be on another host."""
    with describing("itself"):
        now = datetime.fromisoformat(client.info()["SystemTime"])
    return (now - _EPOCH) // timedelta(microseconds=1) * 1000


def _moment(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{seconds}.{rest:09}"
