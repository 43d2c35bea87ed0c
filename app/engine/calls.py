"""What all operations of the gateway share: deadlines, the client of this process, translation."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from docker.errors import APIError

from app.core.deadline import within
from app.core.errors import ContainerNotFoundError, EngineError
from app.engine.client import EngineClient, connect
from app.engine.hanging import HangingCommands
from app.engine.streams import LivenessProbe
from app.engine.translation import is_version_refused, translated

# Names become part of a path of the engine's API: what could leave its place in it is refused.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


_PROBE = "vibebox-probe"


class EngineCalls:
    """Base of the gateway's parts; each adds the operations of one noun.

    Makes no connection before the first call, then one client for each process. Safe to share
    between threads, and to carry through a fork. Each deadline covers the whole call: a longer
    one lets a hung engine hold a request thread for longer. Streams outlive their call: after
    `stream_silence` seconds without a word they ask whether the engine still answers, so that
    more of it notices a hung engine later, and less of it costs idle streams more questions.
    `walk_timeout` is for what walks through all files: nobody waits for that, and what is given up
    is lost, since it would take as long the next time.
    """

    def __init__(
        self,
        host: str,
        *,
        query_timeout: float = 5.0,
        lifecycle_timeout: float = 120.0,
        exec_timeout: float = 60.0,
        pull_timeout: float = 600.0,
        walk_timeout: float = 3600.0,
        stream_silence: float = 5.0,
        publish_address: str = "127.0.0.1",
    ) -> None:
        self._host = host
        self._query_timeout = query_timeout
        self._lifecycle_timeout = lifecycle_timeout
        self._exec_timeout = exec_timeout
        self._pull_timeout = pull_timeout
        self._walk_timeout = walk_timeout
        self._publish_address = publish_address
        self._clients: dict[int, EngineClient] = {}
        self._probe = LivenessProbe(self.ping, stream_silence)
        self._hanging = HangingCommands()

    def close(self) -> None:
        """See `Engine.close`; the next call connects anew. Open streams stay open."""
        client = self._clients.pop(os.getpid(), None)
        if client is not None:
            client.close()

    def ping(self, timeout: float | None = None) -> None:
        """See `Engine.ping`."""
        with self._call(self._query_timeout if timeout is None else timeout) as client:
            if not client.ping():
                raise EngineError("Docker Engine answered a ping with something else.")

    def verify(self, timeout: float) -> None:
        """See `Engine.verify`."""
        with self._call(timeout) as client:
            # The engine answers pings and lists while what runs containers for it hangs: this asks.
            client.version(api_version=False)
            client.create_volume(_PROBE)
            try:
                client.remove_volume(_PROBE)
            except APIError as error:
                # Another process verifies too. It is the making that proves something.
                if error.status_code not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                    raise

    def clock(self, timeout: float) -> datetime:
        """See `Engine.clock`."""
        with self._call(timeout) as client:
            told: dict[str, Any] = client.info()
        try:
            return datetime.fromisoformat(told["SystemTime"]).astimezone(UTC)
        except (KeyError, TypeError, ValueError) as error:
            raise EngineError("Docker Engine did not say what time it is.") from error

    @contextmanager
    def _call(
        self, seconds: float, image: str | None = None, *, launching: bool = False
    ) -> Iterator[EngineClient]:
        with within(seconds), translated(image, launching=launching):
            try:
                yield self._client()
            except APIError as error:
                if is_version_refused(error):
                    # The engine was replaced by one of another age: the next call asks again.
                    self._clients.pop(os.getpid(), None)
                raise

    def _client(self) -> EngineClient:
        """Return this process's client; only one that the engine has answered is kept.

        There is no lock: a hung engine must not make threads wait for each other, and a lock can
        be inherited locked by a fork. Threads that come first together each ask; one client wins.
        The entry of a parent process stays untouched for the same reason: its pool has a lock.
        """
        pid = os.getpid()
        client = self._clients.get(pid)
        if client is None:
            with within(self._query_timeout):
                made = connect(self._host)
            client = self._clients.setdefault(pid, made)
            if client is not made:
                made.close()
        return client


def checked(container: str) -> str:
    """Return the name or id. Raises ContainerNotFoundError for what no container can have."""
    if not NAME.fullmatch(container):
        raise ContainerNotFoundError()
    return container
