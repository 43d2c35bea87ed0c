"""Waiting for the end of a start that the agent carries out, without holding a connection."""

import time
from collections.abc import Callable

from app.core.errors import (
    EngineError,
    EnvironmentConflictError,
    LimitError,
    StorageError,
    VibeBoxError,
)
from app.domain.authorization import Access, Action, Identity
from app.domain.environments.progress import ProgressRecords
from app.domain.environments.pull_records import CANCELLED
from app.domain.environments.service import Environments, Started
from app.storage import Environment, EnvironmentStatus
from app.web.admission.admission import Admission, Kind
from app.web.admission.held import Held

POLL_SECONDS = 0.5


class Waiting:
    """Waits for pulled starts; where too many wait already, it does not."""

    def __init__(
        self,
        records: ProgressRecords,
        environments: Environments,
        admission: Admission,
        stopping: Callable[[], bool],
    ) -> None:
        self._records = records
        self._environments = environments
        self._admission = admission
        self._stopping = stopping

    def for_start(self, identity: Identity, started: Started, seconds: float) -> Environment:
        """Return the environment when its start is over, or after `seconds` as it is then.

        Raises: the problem that the start ended in, and what ended the caller's access.
        """
        ends_at = time.monotonic() + seconds
        environment = started.environment
        if started.pull_id is None or seconds <= 0:
            return environment
        access = Access(identity, Action.ENVIRONMENT_OPERATE, environment.id)
        try:
            held = self._admission.open(Kind.WAIT, access)
        except LimitError:
            return environment
        with held:
            while environment.status is EnvironmentStatus.STARTING:
                left = ends_at - time.monotonic()
                if left <= 0 or self._stopping():
                    return environment
                held.wait(min(POLL_SECONDS, left))
                environment = self._again(environment, held)
        self._raise_problem(environment, started.pull_id)
        return environment

    def _again(self, environment: Environment, held: Held) -> Environment:
        """Return the environment as it is now, or as it was while the database is away."""
        try:
            return self._environments.get(held.access.identity, environment.id)
        except StorageError:
            return environment
        except VibeBoxError as error:
            raise held.why(error) from error

    def _raise_problem(self, environment: Environment, pull_id: str) -> None:
        slug = self._records.error_of(pull_id)
        if slug == CANCELLED:
            raise EnvironmentConflictError("The start was stopped before its image was there.")
        if slug is not None:
            raise recalled(slug, environment.error)


def recalled(slug: str, detail: str | None) -> VibeBoxError:
    """Return the error that another process recorded, by its slug."""
    kinds = [VibeBoxError]
    for kind in kinds:  # it grows meanwhile: the whole tree
        kinds.extend(kind.__subclasses__())
    known = {kind.slug: kind for kind in reversed(kinds)}
    kind = known.get(slug, EngineError)
    # Not by its own constructor, which may want something else than the sentence.
    error = kind.__new__(kind)
    VibeBoxError.__init__(error, detail)
    return error
