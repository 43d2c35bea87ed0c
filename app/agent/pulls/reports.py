"""A pull that this process carries out, and the record of how far it is."""

import logging
import threading
import time
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, and_, update

from app.core.errors import StorageError
from app.domain.environments.starts import GivenUpError
from app.domain.environments.transitions import Transition
from app.engine import PullProgress
from app.storage import Database, ImagePull, PullStatus, db_now

# More often shows the progress more smoothly, for a write each.
_WRITE_SECONDS = 0.5
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TakenPull:
    """A pull that is this process's; `requested_at` by the monotonic clock here."""

    id: str
    image: str
    requested_at: float
    transition: Transition

    def seconds(self) -> float:
        """Return how long ago the start was accepted."""
        return time.monotonic() - self.requested_at

    def ours(self) -> ColumnElement[bool]:
        """Return the condition that the pull goes on, and here."""
        return and_(
            ImagePull.id == self.id,
            ImagePull.status == PullStatus.PULLING,
            ImagePull.started_at == self.transition.since,
        )


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
        done = status is PullStatus.DONE
        with self._database.writing() as session:
            ours = session.scalar(
                update(ImagePull)
                .where(self._taken.ours())
                .values(
                    status=status,
                    layers=[asdict(layer) for layer in self._last.layers],
                    bytes_done=self._last.bytes_done,
                    bytes_total=self._last.bytes_total,
                    finished_at=db_now() if done else None,
                )
                .returning(ImagePull.id)
            )
        if ours is None:
            raise GivenUpError
