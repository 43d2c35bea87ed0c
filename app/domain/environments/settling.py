"""How a passage ends, whatever goes wrong in it: the record says what is known afterwards."""

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
from app.domain.environments.transitions import Passage, Transitions, run_fields
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


class Settling:
    """Ends passages with the truth."""

    def __init__(self, transitions: Transitions, containers: Containers) -> None:
        self._transitions = transitions
        self._containers = containers

    @contextmanager
    def passing(
        self, passage: Passage, harmless: tuple[type[EngineError], ...] = ()
    ) -> Iterator[None]:
        """Leave no passage behind; after `harmless` errors too everything is as it was."""
        unchanged: tuple[type[VibeBoxError], ...] = (*_REFUSALS, *harmless)
        try:
            yield
        except StorageError:
            # What Docker did is done; the agent records it.
            self._transitions.drop(passage)
            raise
        except unchanged as error:
            self._restore(passage, error)
            raise
        except EngineTimeoutError as error:
            self._look_again(passage, error)
            raise
        except EngineError as error:
            self.fail(passage, error.detail)
            raise
        except Exception:
            self.fail(passage, VibeBoxError.default_detail)
            raise

    def settle(self, passage: Passage, state: ContainerState) -> bool:
        """End the passage with what Docker says of the container; tell whether that is an error."""
        error = None
        if state.paused:
            status = EnvironmentStatus.PAUSED
        elif state.running:
            status = EnvironmentStatus.RUNNING
        elif passage.through is EnvironmentStatus.STOPPING:
            status = EnvironmentStatus.STOPPED
        else:
            status = EnvironmentStatus.ERROR
            error = (
                f"The container ended right after its start, with exit code {state.exit_code}; "
                "choose an image whose command keeps running."
            )
        self._transitions.end(
            passage,
            status,
            passage.exits(state),
            error=error,
            published_ports=published(state),
            **run_fields(passage, state),
        )
        return error is not None

    def fail(self, passage: Passage, detail: str) -> None:
        """End the passage in an error that says so."""
        self._give_up(passage, EnvironmentStatus.ERROR, detail)

    def _restore(self, passage: Passage, error: VibeBoxError) -> None:
        if passage.pull is not None:
            # Nobody waits for the answer: the record has to say why.
            self.fail(passage, error.detail)
        else:
            before = passage.environment
            self._give_up(passage, before.status, before.error)

    def _give_up(self, passage: Passage, status: EnvironmentStatus, error: str | None) -> None:
        """End the passage after a failure, which must not hide behind one of the database."""
        changes: dict[str, Any] = {"container_id": passage.environment.container_id}
        if status is EnvironmentStatus.ERROR:
            changes["published_ports"] = []
        try:
            self._transitions.end(passage, status, error=error, **changes)
        except VibeBoxError:
            _log.exception("passage left behind", extra={"environment": passage.environment.id})

    def _look_again(self, passage: Passage, error: EngineTimeoutError) -> None:
        """Record the truth after a call that may or may not have been carried out."""
        try:
            state = self._containers.look(passage.environment)
        except EngineError:
            state = None
        if state is None:
            self.fail(passage, error.detail)
        else:
            self.settle(passage, state)
