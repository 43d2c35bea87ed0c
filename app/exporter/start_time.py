"""Since when totals are counted: the same through the deaths of workers and of the exporter.

It moves when the totals have begun anew: the service was stopped, and its directory emptied.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import Metric

Totals = dict[str, float]


class StartTime:
    """Kept in a file for the next exporter; times are Unix nanoseconds."""

    def __init__(self, path: Path, now: int) -> None:
        self._path = path
        self._start, self._looked, self._totals = self._read() or (now, now, {})

    def of(self, families: Iterable[Metric], now: int) -> int:
        """Return the start of these families' totals. Raises: OSError where it cannot be kept."""
        totals = {
            family.name: sum(sample.value for sample in family.samples)
            for family in families
            if family.type == "counter"
        }
        if any(totals.get(name, 0.0) < total for name, total in self._totals.items()):
            # They began anew behind the last look; what it saw was of the old ones.
            self._start = self._looked + 1
        self._looked, self._totals = now, totals
        self._write()
        return self._start

    def _read(self) -> tuple[int, int, Totals] | None:
        try:
            found = json.loads(self._path.read_text())
            return int(found["start"]), int(found["looked"]), dict(found["totals"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write(self) -> None:
        temporary = self._path.with_suffix(".new")
        state = {"start": self._start, "looked": self._looked, "totals": self._totals}
        temporary.write_text(json.dumps(state))
        temporary.rename(self._path)
