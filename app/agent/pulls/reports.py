"""How far a pull is: written to its record, not too often."""

import logging
import threading
import time

from app.core.errors import StorageError
from app.domain.environments import pull_records
from app.domain.environments.pull_records import TakenPull
from app.domain.environments.starts import GivenUpError
from app.engine import PullProgress
from app.storage import Database, PullStatus

# More often shows the progress more smoothly, for a write each.
_WRITE_SECONDS = 0.5
_log = logging.getLogger(__name__)


class PullReport:
    """Writes the progress of a pull to its record, and notices there when it has to end."""

    def __init__(self, database: Database, taken: TakenPull, closing: threading.Event) -> None:
        self._database = database
        self._taken = taken
        self._closing = closing
        self._last = PullProgress((), 0, 0)
        self._due = 0.0

    def __call__(self, progress: PullProgress) -> None:
        """Take the progress. Raises: GivenUpError."""
        self._last = progress
        if self._closing.is_set():
            raise GivenUpError
        if time.monotonic() < self._due:
            return
        try:
            self._write(PullStatus.PULLING)
        except StorageError:
            # The pull itself needs no database; the next progress tries again.
            _log.warning("progress of a pull not recorded")
        self._due = time.monotonic() + _WRITE_SECONDS

    def finish(self) -> None:
        """Record that the image is there. Raises: GivenUpError, StorageUnavailableError."""
        self._write(PullStatus.DONE)

    def _write(self, status: PullStatus) -> None:
        if not pull_records.note(self._database, self._taken, self._last, status):
            raise GivenUpError
