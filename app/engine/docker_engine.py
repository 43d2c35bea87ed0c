"""`DockerEngine`: the one gateway to a real Docker Engine, with what containers can be told.

Every call runs inside `_call`: deadline, client of this process, errors translated. A call that
times out may still be carried out later, so callers look again before they conclude anything.
"""

import time
from collections.abc import Sequence
from typing import Any

from requests.exceptions import JSONDecodeError

from app.core.deadline import within
from app.core.errors import (
    CommandRunawayError,
    CommandTimeoutError,
    ContainerNotFoundError,
    EngineConflictError,
    EngineError,
    EngineTimeoutError,
    ExecutableMissingError,
    LimitsRefusedError,
)
from app.engine.calls import EngineCalls, checked
from app.engine.containers import (
    PROCESS_COLUMNS,
    container_state,
    container_summaries,
    creation_body,
    host_processes,
    identifier,
    resources,
)
from app.engine.execution import run
from app.engine.files import Files
from app.engine.images import Images
from app.engine.statistics import container_stats, run_counters
from app.engine.terminals import Terminals
from app.engine.translation import is_removal_under_way
from app.engine.values import (
    ENVIRONMENT_LABEL,
    ContainerSpec,
    ContainerState,
    ContainerStats,
    ContainerSummary,
    ExecResult,
    HostProcess,
    RunCounters,
)
from app.engine.volumes import Volumes
from app.engine.watching import Streams

_POLL_SECONDS = 0.05
# More tells the rate more evenly; a request waits for it.
_SAMPLE_SECONDS = 0.25
# How long the engine may take to show that it was not the one who kept us waiting.
_BLAMING_SECONDS = 2.0
_NOT_FINISHED = "The command did not finish in time; it may still be running in the container."


class DockerEngine(Files, Images, Streams, Terminals, Volumes, EngineCalls):
    """Talks to the engine at `host` (unix:///path or tcp://host:port); implements `Engine`.

    The arguments are those of `EngineCalls`, which says what moves with them.
    """

    def list_containers(self, *, environment_label_only: bool = True) -> list[ContainerSummary]:
        """See `Engine.list_containers`."""
        labelled = {"label": ENVIRONMENT_LABEL} if environment_label_only else {}
        with self._call(self._query_timeout) as client:
            return container_summaries(client.containers(all=True, filters=labelled))

    def inspect(self, container: str) -> ContainerState:
        """See `Engine.inspect`."""
        with self._call(self._query_timeout) as client:
            return container_state(client.inspect_container(checked(container)))

    def create(self, spec: ContainerSpec) -> str:
        """See `Engine.create`."""
        with within(self._lifecycle_timeout):
            try:
                return self._create(spec)
            except LimitsRefusedError:
                raise
            except EngineConflictError:
                self._remove_leftover(spec)
            return self._create(spec)

    def start(self, container: str) -> None:
        """See `Engine.start`."""
        with self._call(self._lifecycle_timeout, launching=True) as client:
            client.start(checked(container))

    def stop(self, container: str, grace: int) -> None:
        """See `Engine.stop`; the grace is the container's time, on top of the engine's."""
        with self._call(self._lifecycle_timeout + grace) as client:
            client.stop(checked(container), timeout=grace)

    def restart(self, container: str, grace: int) -> None:
        """See `Engine.restart`; the grace is the container's time, on top of the engine's."""
        with self._call(self._lifecycle_timeout + grace, launching=True) as client:
            client.restart(checked(container), timeout=grace)

    def kill(self, container: str, signal: str = "SIGKILL") -> None:
        """See `Engine.kill`."""
        with self._call(self._lifecycle_timeout) as client:
            client.kill(checked(container), signal)

    def pause(self, container: str) -> None:
        """See `Engine.pause`."""
        with self._call(self._lifecycle_timeout) as client:
            client.pause(checked(container))

    def unpause(self, container: str) -> None:
        """See `Engine.unpause`."""
        with self._call(self._lifecycle_timeout) as client:
            client.unpause(checked(container))

    def update(self, container: str, *, cpu_limit: float, memory_limit_mb: int) -> None:
        """See `Engine.update`."""
        limits = resources(cpu_limit, memory_limit_mb)
        with self._call(self._lifecycle_timeout) as client:
            client.update_from(checked(container), limits)

    def limit_processes(self, container: str, number: int) -> None:
        """See `Engine.limit_processes`."""
        with self._call(self._query_timeout) as client:
            client.update_from(checked(container), {"PidsLimit": number})

    def processes(self, container: str) -> list[HostProcess]:
        """See `Engine.processes`."""
        with self._call(self._query_timeout) as client:
            return host_processes(dict(client.top(checked(container), ps_args=PROCESS_COLUMNS)))

    def stats(self, container: str) -> ContainerStats:
        """See `Engine.stats`: two samples, since one alone knows no rate.

        The engine would take them a second apart itself.
        """
        with within(self._query_timeout + _SAMPLE_SECONDS):
            before = self._sample(container)
            time.sleep(_SAMPLE_SECONDS)
            return container_stats(self._sample(container), before)

    def counters(self, container: str) -> RunCounters:
        """See `Engine.counters`."""
        return run_counters(self._sample(container))

    def _sample(self, container: str) -> Any:
        with self._call(self._query_timeout) as client:
            try:
                # The SDK's name for `one-shot`: without it the engine waits for a second sample.
                return client.stats(checked(container), stream=False, one_shot=True)
            except JSONDecodeError as error:
                if error.doc:
                    raise
                # 200 and an empty body: it was removed while it was measured (20.10).
                raise ContainerNotFoundError from error

    def remove(self, container: str) -> None:
        """See `Engine.remove`."""
        with within(self._lifecycle_timeout):
            while not self._try_remove(container):
                time.sleep(_POLL_SECONDS)

    def exec(
        self, container: str, argv: Sequence[str], *, timeout: float | None = None
    ) -> ExecResult:
        """See `Engine.exec`."""
        self._hanging.refuse(container, self._goes_on)
        begun: list[str] = []
        try:
            with self._call(self._exec_timeout if timeout is None else timeout) as client:
                return run(client, checked(container), argv, begun.append)
        except (EngineTimeoutError, CommandRunawayError) as error:
            for exec_id in begun:
                self._hanging.note(container, exec_id)
            if begun and isinstance(error, EngineTimeoutError):
                self._blame(error)
            raise
        except ExecutableMissingError as error:
            raise ExecutableMissingError(
                f"The container has no command {argv[0]!r} that can be executed; install it first."
            ) from error

    def _blame(self, error: EngineTimeoutError) -> None:
        """Raise CommandTimeoutError where a command took too long and not the engine."""
        try:
            self.ping(timeout=_BLAMING_SECONDS)
        except EngineError:
            raise EngineTimeoutError(_NOT_FINISHED) from error
        raise CommandTimeoutError from error

    def _goes_on(self, exec_id: str) -> bool:
        """Tell whether a command that was given up still runs."""
        try:
            return self.inspect_exec(exec_id).running
        except ContainerNotFoundError:  # forgotten, with the run of its container
            return False

    def _create(self, spec: ContainerSpec) -> str:
        body = creation_body(spec, self._publish_address)
        with self._call(self._lifecycle_timeout, spec.image, launching=True) as client:
            return identifier(client.create_from(body, spec.name))

    def _remove_leftover(self, spec: ContainerSpec) -> None:
        """Remove the container that holds the name of `spec`, if it is the same environment's."""
        try:
            with self._call(self._query_timeout) as client:
                holder = container_state(client.inspect_container(spec.name))
        except ContainerNotFoundError:
            return
        owner = (holder.environment_id, holder.instance or "")
        if owner != (spec.environment_id, spec.instance):
            raise EngineConflictError(
                f"The container name {spec.name!r} is taken by a container that does not belong "
                "to this environment; the operator renames or removes that one."
            )
        self.remove(holder.id)

    def _try_remove(self, container: str) -> bool:
        """Whether the container is gone; False while somebody else's removal is under way."""
        try:
            with self._call(self._lifecycle_timeout) as client:
                client.remove_container(checked(container), v=True, force=True)
        except ContainerNotFoundError:
            return True
        except EngineConflictError as error:
            if not is_removal_under_way(error):
                raise
            return False
        return True
