"""The task that counts how people come to use the service, from the audit log."""

from collections.abc import Callable

from app.domain.business.days import Days
from app.domain.business.intake import Intake
from app.storage import Database
from app.storage.cautious_clock import CautiousClock
from app.storage.fence import Fence


class Business:
    """Reads and counts in a term, or deletes what is kept where a setting says so."""

    def __init__(
        self, database: Database, clock: CautiousClock, fence: Fence, *, enabled: bool
    ) -> None:
        self._clock = clock
        self._enabled = enabled
        self._intake = Intake(database, fence)
        self._days = Days(database, fence)

    def run(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """Do what is due; ends early when `stopping` says so. Raises: StorageError, and others."""
        if not self._enabled:
            self._intake.forget()
            return
        now = self._clock.now()
        self._intake.run(now, stopping)
        if not stopping():
            self._days.run(now)
