"""Ends environments whose time is over; the leading agent drives it."""

import logging

from sqlalchemy import select

from app.environments import pull_rows
from app.environments.removal import Removal
from app.environments.transitions import Transitions
from app.errors import EnvironmentConflictError, EnvironmentNotFoundError, VibeBoxError
from app.storage import Database, Environment, EnvironmentStatus, utc_now

# So many at a time: each may take as long as Docker gives it.
_BATCH = 20
_ALLOWED = (
    EnvironmentStatus.STOPPED,
    EnvironmentStatus.RUNNING,
    EnvironmentStatus.PAUSED,
    EnvironmentStatus.ERROR,
)
_log = logging.getLogger(__name__)


class Expiry:
    """Deletes expired environments as their users would, in the name of VibeBox itself."""

    def __init__(
        self,
        database: Database,
        transitions: Transitions,
        removal: Removal,
    ) -> None:
        self._database = database
        self._transitions = transitions
        self._removal = removal

    def run(self) -> int:
        """Delete what is expired, at most a batch of it, and return how many those were.

        What cannot be deleted now is tried again by the next run. Raises: StorageUnavailableError.
        """
        expired = select(Environment.id).where(Environment.expires_at <= utc_now())
        with self._database.reading() as session:
            due = session.scalars(expired.order_by(Environment.expires_at).limit(_BATCH)).all()
        return sum(self._end(environment_id) for environment_id in due)

    def _end(self, environment_id: str) -> bool:
        try:
            self._cancel_pull(environment_id)
            passage = self._transitions.begin_own(
                environment_id,
                _ALLOWED,
                EnvironmentStatus.STOPPING,
                audited="environment.expire",
                still=Environment.expires_at <= utc_now(),
            )
            self._removal.carry_out(passage)
        except (EnvironmentConflictError, EnvironmentNotFoundError):
            return False  # somebody is at it, or its time was changed
        except VibeBoxError as error:
            _log.warning(
                "expired environment not deleted",
                extra={"environment": environment_id, "why": error.detail},
            )
            return False
        return True

    def _cancel_pull(self, environment_id: str) -> None:
        with self._database.writing() as session:
            environment = session.get(Environment, environment_id, with_for_update=True)
            if environment is not None:
                pull_rows.cancel(session, environment)
