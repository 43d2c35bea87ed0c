"""What is done with an environment's container: start, stop, restart, pause, unpause, delete."""

from collections.abc import Callable
from datetime import datetime
from time import perf_counter

from app.core.errors import ContainerNotFoundError, EngineConflictError, EnvironmentConflictError
from app.domain.authorization import Action, Identity, environment_for
from app.domain.environments import pull_records, starts
from app.domain.environments.containers import Containers
from app.domain.environments.transition_end import TransitionGuard
from app.domain.environments.transitions import Transition, Transitions, audit_change, run_fields
from app.engine import ContainerStats
from app.storage import AT_REST, Database, Environment, EnvironmentStatus, PullPolicy

_UP = (EnvironmentStatus.RUNNING, EnvironmentStatus.PAUSED, EnvironmentStatus.ERROR)
_ANY = (*_UP, EnvironmentStatus.STOPPED)
_GONE = "The container is not running any more; look at the environment again in a moment."


class Operations:
    """Carries out what a user asks of a container, each as one transition."""

    def __init__(
        self,
        database: Database,
        transitions: Transitions,
        containers: Containers,
        guard: TransitionGuard,
    ) -> None:
        self._database = database
        self._transitions = transitions
        self._containers = containers
        self._guard = guard
        self._starts = starts.Starts(containers, guard)
        self._removal = Removal(transitions, containers, guard)

    def start(
        self, identity: Identity, environment_id: str, policy: PullPolicy | None = None
    ) -> str | None:
        """Start the container, made where there is none; or leave both to the agent.

        Returns: the id of the pull that the agent does first, None where none is needed.
        Raises: as `Environments.start`.
        """
        accepted = perf_counter()
        transition = self._begin(
            identity, environment_id, AT_REST, EnvironmentStatus.STARTING, "start", ends=True
        )
        with (
            starts.told(
                lambda: perf_counter() - accepted,
                synthetic=transition.environment.is_synthetic,
            ) as attempt,
            self._guard.during(transition),
        ):
            environment = transition.environment
            transition.seen = self._containers.look(environment)
            container = self._containers.prepare(
                environment, transition.seen, policy or environment.pull
            )
            if container is None:
                attempt.outcome = None  # its end is told by the agent
                return pull_records.queue(self._database, transition, identity.user_id)
            self._starts.launch(transition, container, attempt)
        return None

    def restart(self, identity: Identity, environment_id: str) -> None:
        """Stop and start the container. Raises: as `Environments.restart`."""
        transition = self._begin(
            identity, environment_id, _UP, EnvironmentStatus.STARTING, "restart", ends=True
        )
        with self._guard.during(transition):
            transition.seen = self._containers.look(transition.environment)
            container = self._containers.ensure(transition.environment, transition.seen)
            self._starts.launch(transition, container, starts.Attempt(), again=True)

    def stop(self, identity: Identity, environment_id: str) -> None:
        """Stop the container; it stays, with its files. Ends a start that waits for its image."""
        if self._cancel(identity, environment_id, Action.ENVIRONMENT_OPERATE):
            return
        transition = self._begin(
            identity, environment_id, _UP, EnvironmentStatus.STOPPING, "stop", ends=True
        )
        with self._guard.during(transition):
            transition.seen = after = self._containers.look(transition.environment)
            if after is not None:
                after = self._containers.stop(after.id)
            self._transitions.end(
                transition,
                EnvironmentStatus.STOPPED,
                transition.exits(after),
                error=None,
                published_ports=[],
                **run_fields(transition, after),
            )

    def pause(self, identity: Identity, environment_id: str) -> None:
        """Freeze the container's processes. Raises: as `Environments.pause`."""
        transition = self._begin(
            identity,
            environment_id,
            (EnvironmentStatus.RUNNING,),
            EnvironmentStatus.STOPPING,
            "pause",
        )
        self._freeze(transition, self._containers.pause, frozen=True)

    def unpause(self, identity: Identity, environment_id: str) -> None:
        """Let the container's processes go on. Raises: as `Environments.unpause`."""
        transition = self._begin(
            identity,
            environment_id,
            (EnvironmentStatus.PAUSED,),
            EnvironmentStatus.STARTING,
            "unpause",
        )
        self._freeze(transition, self._containers.unpause, frozen=False)

    def delete(self, identity: Identity, environment_id: str) -> None:
        """Remove container, volume and record; ends a start that waits for its image.

        Raises: as `Environments.delete`.
        """
        try:
            transition = self._begin_removal(identity, environment_id, "environment.delete")
        except EnvironmentConflictError:
            if not self._cancel(identity, environment_id, Action.ENVIRONMENT_DELETE):
                raise
            transition = self._begin_removal(identity, environment_id, "environment.delete")
        self._removal.carry_out(transition)

    def expire(self, environment_id: str, now: datetime) -> None:
        """Delete the environment as VibeBox itself, if its time is over at `now`.

        Raises: as `delete`.
        """
        with self._database.writing() as session:
            environment = session.get(Environment, environment_id, with_for_update=True)
            if environment is not None and is_over(environment, now):
                pull_records.cancel(session, environment)
        transition = self._begin_removal(None, environment_id, "environment.expire")
        before = transition.environment
        if is_over(before, now):
            self._removal.carry_out(transition)
        else:  # somebody gave it more time meanwhile
            self._transitions.end(transition, before.status, end_requested=before.end_requested)

    def stats(self, identity: Identity, environment_id: str) -> ContainerStats:
        """Measure what the container uses. Raises: as `Environments.stats`."""
        with self._database.reading() as session:
            environment = environment_for(
                session, identity, environment_id, Action.ENVIRONMENT_READ
            )
            status, container = environment.status, environment.container_id
        if status is not EnvironmentStatus.RUNNING or container is None:
            raise EnvironmentConflictError(
                f"The environment is {status}; only a running one uses anything."
            )
        try:
            return self._containers.stats(container)
        except (ContainerNotFoundError, EngineConflictError) as error:
            raise EnvironmentConflictError(_GONE) from error

    def _begin_removal(
        self, identity: Identity | None, environment_id: str, audited: str
    ) -> Transition:
        return self._transitions.begin(
            identity,
            environment_id,
            _ANY,
            EnvironmentStatus.STOPPING,
            action=Action.ENVIRONMENT_DELETE,
            audited=audited,
            ends=True,
        )

    def _begin(
        self,
        identity: Identity,
        environment_id: str,
        allowed: tuple[EnvironmentStatus, ...],
        through: EnvironmentStatus,
        verb: str,
        *,
        ends: bool | None = None,
    ) -> Transition:
        return self._transitions.begin(
            identity,
            environment_id,
            allowed,
            through,
            action=Action.ENVIRONMENT_OPERATE,
            audited=f"environment.{verb}",
            ends=ends,
        )

    def _freeze(self, transition: Transition, call: Callable[[str], None], *, frozen: bool) -> None:
        """Carry out a pause or its end; what is so already is fine."""
        harmless = (EngineConflictError, ContainerNotFoundError)
        with self._guard.during(transition, harmless):
            transition.seen = state = self._containers.look(transition.environment)
            if state is None or not state.running:
                raise EnvironmentConflictError(_GONE)
            if state.paused is not frozen:
                call(state.id)
                state = self._containers.inspect(state.id)
            self._guard.complete(transition, state)

    def _cancel(self, identity: Identity, environment_id: str, action: Action) -> bool:
        """End a start that waits for its image; False where the environment has none."""
        with self._database.writing() as session:
            environment = environment_for(session, identity, environment_id, action, lock=True)
            before = environment.status
            if not pull_records.cancel(session, environment):
                return False
            audit_change(session, identity, "environment.stop", environment, before)
        return True


def is_over(environment: Environment, now: datetime) -> bool:
    """Tell whether the environment's time is over."""
    return environment.expires_at is not None and environment.expires_at <= now


class Removal:
    """Removes all there is of an environment: container, volume, record, in this order."""

    def __init__(
        self, transitions: Transitions, containers: Containers, guard: TransitionGuard
    ) -> None:
        self._transitions = transitions
        self._containers = containers
        self._guard = guard

    def carry_out(self, transition: Transition) -> None:
        """Remove the environment that is held. Raises: EngineUnreachableError and others."""
        before = transition.environment
        with self._guard.during(transition):
            if before.container_id is not None:
                transition.seen = self._containers.look(before)
            if self._containers.remove(before):
                self._containers.remove_volume(before)
            self._transitions.remove(transition, transition.exits(None))
