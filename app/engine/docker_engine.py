"""`DockerEngine`: the one door to a real Docker Engine.

Every call runs inside `_call`: deadline, client of this process, errors translated. A call that
times out may still be carried out later, so callers look again before they conclude anything.
"""

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from docker.errors import APIError

from app.engine.client import EngineClient, connect
from app.engine.containers import container_state, creation_body, environment_of, identifier
from app.engine.deadline import limit
from app.engine.execution import run
from app.engine.translation import is_removal_under_way, is_version_refused, translated
from app.engine.types import ContainerSpec, ContainerState, ExecResult
from app.errors import (
    ContainerNotFoundError,
    EngineConflictError,
    EngineError,
    EngineTimeoutError,
    ExecutableMissingError,
    ImageMissingError,
)

# Names become part of a path of the engine's API: what could leave its place in it is refused.
_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_IMAGE = re.compile(r"[A-Za-z0-9](?:[\w:@-]|[./](?!\.|/))*", re.ASCII)

_POLL_SECONDS = 0.05


class DockerEngine:
    """Talks to the engine at `host` (unix:///path or tcp://host:port); implements `Engine`.

    Makes no connection before the first call, then one client for each process. Safe to share
    between threads, and to carry through a fork. Each deadline covers the whole call: a longer
    one lets a hung engine hold a request thread for longer.
    """

    def __init__(
        self,
        host: str,
        *,
        query_timeout: float = 5.0,
        lifecycle_timeout: float = 120.0,
        exec_timeout: float = 60.0,
        publish_address: str = "127.0.0.1",
    ) -> None:
        self._host = host
        self._query_timeout = query_timeout
        self._lifecycle_timeout = lifecycle_timeout
        self._exec_timeout = exec_timeout
        self._publish_address = publish_address
        self._clients: dict[int, EngineClient] = {}

    def close(self) -> None:
        """See `Engine.close`; the next call connects anew."""
        client = self._clients.pop(os.getpid(), None)
        if client is not None:
            client.close()

    def ping(self, timeout: float | None = None) -> None:
        """See `Engine.ping`."""
        with self._call(self._query_timeout if timeout is None else timeout) as client:
            if not client.ping():
                raise EngineError("Docker Engine answered a ping with something else.")

    def inspect(self, container: str) -> ContainerState:
        """See `Engine.inspect`."""
        with self._call(self._query_timeout) as client:
            return container_state(client.inspect_container(_checked(container)))

    def inspect_image(self, image: str) -> str:
        """See `Engine.inspect_image`."""
        if not _IMAGE.fullmatch(image):
            raise ImageMissingError(image)
        with self._call(self._query_timeout, image) as client:
            return identifier(client.image_details(image))

    def create(self, spec: ContainerSpec) -> str:
        """See `Engine.create`."""
        with limit(self._lifecycle_timeout):
            try:
                return self._create(spec)
            except EngineConflictError:
                self._remove_leftover(spec)
            return self._create(spec)

    def start(self, container: str) -> None:
        """See `Engine.start`."""
        with self._call(self._lifecycle_timeout) as client:
            client.start(_checked(container))

    def stop(self, container: str, grace: int) -> None:
        """See `Engine.stop`; the grace is the container's time, on top of the engine's."""
        with self._call(self._lifecycle_timeout + grace) as client:
            client.stop(_checked(container), timeout=grace)

    def restart(self, container: str, grace: int) -> None:
        """See `Engine.restart`; the grace is the container's time, on top of the engine's."""
        with self._call(self._lifecycle_timeout + grace) as client:
            client.restart(_checked(container), timeout=grace)

    def remove(self, container: str) -> None:
        """See `Engine.remove`."""
        with limit(self._lifecycle_timeout):
            while not self._try_remove(container):
                time.sleep(_POLL_SECONDS)

    def exec(
        self, container: str, argv: Sequence[str], *, timeout: float | None = None
    ) -> ExecResult:
        """See `Engine.exec`."""
        try:
            with self._call(self._exec_timeout if timeout is None else timeout) as client:
                return run(client, _checked(container), argv)
        except EngineTimeoutError as error:
            raise EngineTimeoutError(
                "The command did not finish in time; it may still be running in the container."
            ) from error
        except ExecutableMissingError as error:
            raise ExecutableMissingError(
                f"The container has no command {argv[0]!r} that can be executed; install it first."
            ) from error

    def _create(self, spec: ContainerSpec) -> str:
        body = creation_body(spec, self._publish_address)
        with self._call(self._lifecycle_timeout, spec.image) as client:
            return identifier(client.create_from(body, spec.name))

    def _remove_leftover(self, spec: ContainerSpec) -> None:
        """Remove the container that holds the name of `spec`, if it is the same environment's."""
        try:
            with self._call(self._query_timeout) as client:
                holder = client.inspect_container(spec.name)
        except ContainerNotFoundError:
            return
        if environment_of(holder) != spec.environment_id:
            raise EngineConflictError(
                f"The container name {spec.name!r} is taken by a container that does not belong "
                "to this environment; the operator renames or removes that one."
            )
        self.remove(identifier(holder))

    def _try_remove(self, container: str) -> bool:
        """Whether the container is gone; False while somebody else's removal is under way."""
        try:
            with self._call(self._lifecycle_timeout) as client:
                client.remove_container(_checked(container), v=True, force=True)
        except ContainerNotFoundError:
            return True
        except EngineConflictError as error:
            if not is_removal_under_way(error):
                raise
            return False
        return True

    @contextmanager
    def _call(self, seconds: float, image: str | None = None) -> Iterator[EngineClient]:
        with limit(seconds), translated(image):
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
            with limit(self._query_timeout):
                made = connect(self._host)
            client = self._clients.setdefault(pid, made)
            if client is not made:
                made.close()
        return client


def _checked(container: str) -> str:
    if not _CONTAINER.fullmatch(container):
        raise ContainerNotFoundError()
    return container
