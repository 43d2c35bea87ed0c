"""How a transition ends, whatever goes wrong in it: the record says what is known afterwards."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from app.core.errors import (
    EngineError,
    EngineTimeoutError,
    EngineUnreachableError,
    EnvironmentConflictError,
    EnvironmentNameTakenError,
    InvalidInputError,
    PortReservedError,
    QuotaExceededError,
    SecretsUnavailableError,
    StorageError,
    VibeBoxError,
)
from app.domain.environments.containers import Containers, published
from app.domain.environments.transitions import Transition, Transitions, run_fields
from app.engine import ContainerState
from app.storage import EnvironmentStatus

# What is raised before anything was changed.
_REFUSALS = (
    EngineUnreachableError,
    EnvironmentConflictError,
    EnvironmentNameTakenError,
    InvalidInputError,
    PortReservedError,
    QuotaExceededError,
    SecretsUnavailableError,
)
_log = logging.getLogger(__name__)


class TransitionGuard:
    """Ends transitions with the truth."""

    def __init__(self, transitions: Transitions, containers: Containers) -> None:
        self._transitions = transitions
        self._containers = containers

    @contextmanager
    def during(
        self, transition: Transition, harmless: tuple[type[EngineError], ...] = ()
    ) -> Iterator[None]:
        """Leave no transition behind; after `harmless` errors too everything is as it was."""
        unchanged: tuple[type[VibeBoxError], ...] = (*_REFUSALS, *harmless)
        try:
            yield
        except StorageError:
            # What Docker did is done; the agent records it.
            self._transitions.drop(transition)
            raise
        except unchanged as error:
            self._restore(transition, error)
            raise
        except EngineTimeoutError as error:
            self._look_again(transition, error)
            raise
        except EngineError as error:
            self.fail(transition, error.detail)
            raise
        except Exception:
            self.fail(transition, VibeBoxError.default_detail)
            raise

    def complete(self, transition: Transition, state: ContainerState) -> bool:
        """End it with what Docker says of the container; tell whether that is an error."""
        error = None
        if state.paused:
            status = EnvironmentStatus.PAUSED
        elif state.running:
            status = EnvironmentStatus.RUNNING
        elif transition.through is EnvironmentStatus.STOPPING:
            status = EnvironmentStatus.STOPPED
        else:
            status = EnvironmentStatus.ERROR
            error = (
                f"The container ended right after its start, with exit code {state.exit_code}; "
                "choose an image whose command keeps running."
            )
        self._transitions.end(
            transition,
            status,
            transition.exits(state),
            error=error,
            published_ports=published(state),
            **run_fields(transition, state),
        )
        return error is not None

    def fail(self, transition: Transition, detail: str) -> None:
        """End the transition in an error that says so."""
        self._give_up(transition, EnvironmentStatus.ERROR, detail)

    def _restore(self, transition: Transition, error: VibeBoxError) -> None:
        if transition.pull is not None:
            # Nobody waits for the answer: the record has to say why.
            self.fail(transition, error.detail)
        else:
            before = transition.environment
            self._give_up(transition, before.status, before.error)

    def _give_up(
        self, transition: Transition, status: EnvironmentStatus, error: str | None
    ) -> None:
        """End the transition after a failure, which must not hide behind one of the database."""
        changes: dict[str, Any] = {"container_id": transition.environment.container_id}
        if status is EnvironmentStatus.ERROR:
            changes["published_ports"] = []
        try:
            self._transitions.end(transition, status, error=error, **changes)
        except VibeBoxError:
            _log.exception(
                "transition left behind", extra={"environment": transition.environment.id}
            )

    def _look_again(self, transition: Transition, error: EngineTimeoutError) -> None:
        """Record the truth after a call that may or may not have been carried out."""
        try:
            state = self._containers.look(transition.environment)
        except EngineError:
            state = None
        if state is None:
            self.fail(transition, error.detail)
        else:
            self.complete(transition, state)
