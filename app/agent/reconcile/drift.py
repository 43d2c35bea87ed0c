"""How many environments are recorded with a status that is not Docker's."""

import threading

from app.agent.reports import Reports
from app.storage import Report


class Drift:
    """Keeps the environments that were found to differ and are not mended yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._differing: set[str] = set()
        self._reported: int | None = None

    def note(self, environment_id: str, differs: bool) -> None:
        """Note what a comparison found."""
        with self._lock:
            if differs:
                self._differing.add(environment_id)
            else:
                self._differing.discard(environment_id)

    @property
    def number(self) -> int:
        """How many differ now."""
        with self._lock:
            return len(self._differing)

    def report_sweep(self, reports: Reports, compared: int) -> None:
        """Report that all records were compared. Raises: as `Reports.write`."""
        number = self.number
        reports.write({Report.SWEEP: compared, Report.DRIFT: number})
        self._reported = number

    def report_news(self, reports: Reports) -> None:
        """Report the number where it has changed; before a term's first sweep nothing is known.

        Raises: as `Reports.write`.
        """
        number = self.number
        if self._reported is not None and number != self._reported:
            reports.write({Report.DRIFT: number})
            self._reported = number
