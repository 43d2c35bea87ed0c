"""Waiting for the end of a start that the agent carries out, without holding a connection."""

import time
from collections.abc import Callable

from app.authorization import Identity
from app.environments.pull_rows import CANCELLED
from app.environments.records import Records
from app.errors import EngineError, EnvironmentConflictError, VibeBoxError
from app.slots import Slots
from app.storage import Database, Environment, EnvironmentStatus, ImagePull

POLL_SECONDS = 0.5


class Waiting:
    """Waits for pulled starts; where too many wait already, it does not."""

    def __init__(
        self, database: Database, records: Records, slots: Slots, stopping: Callable[[], bool]
    ) -> None:
        self._database = database
        self._records = records
        self._slots = slots
        self._stopping = stopping

    def for_start(
        self, identity: Identity, environment_id: str, pull: str, seconds: float
    ) -> Environment:
        """Return the environment when its start is over, or after `seconds` as it is then.

        Raises: the problem that the start ended in.
        """
        ends_at = time.monotonic() + seconds
        environment = self._records.get(identity, environment_id)
        if seconds <= 0 or not self._slots.take():
            return environment
        try:
            while environment.status is EnvironmentStatus.STARTING:
                left = ends_at - time.monotonic()
                if left <= 0 or self._stopping():
                    return environment
                time.sleep(min(POLL_SECONDS, left))
                environment = self._records.get(identity, environment_id)
        finally:
            self._slots.give_back()
        self._raise_problem(environment, pull)
        return environment

    def _raise_problem(self, environment: Environment, pull_id: str) -> None:
        with self._database.reading() as session:
            pull = session.get(ImagePull, pull_id)
        if pull is None or pull.error is None:
            return
        if pull.error == CANCELLED:
            raise EnvironmentConflictError("The start was stopped before its image was there.")
        raise recalled(pull.error, environment.error)


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
