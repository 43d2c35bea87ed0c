"""How many environments are recorded with a status that is not Docker's."""

import threading

from app import signals


class Drift:
    """Keeps the environments that were found to differ and are not mended yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._differing: set[str] = set()

    def note(self, environment_id: str, differs: bool) -> None:
        """Note what a comparison found; told at once where it is news."""
        with self._lock:
            before = len(self._differing)
            if differs:
                self._differing.add(environment_id)
            else:
                self._differing.discard(environment_id)
            if len(self._differing) != before:
                self._tell()

    def tell(self) -> None:
        """Tell the number again, also where it did not change: another agent may have told."""
        with self._lock:
            self._tell()

    def _tell(self) -> None:
        signals.emit(signals.drift_seen, environments=len(self._differing))
