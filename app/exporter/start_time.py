"""Since when totals are counted: the same through the deaths of workers and of the exporter.

It moves when the totals have begun anew: the service was stopped, and its directory emptied. Then
that directory is another one (see `app.metrics.backfill.directory_identity`), whatever its totals
have grown to since. Where nobody knows: most of what had been counted is less then; a series that
was removed is one of many.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from prometheus_client import Metric
from prometheus_client.samples import Sample

Totals = dict[str, float]
"""The value of each series, by its `key`."""


def key(sample: Sample) -> str:
    """Return what names a series, as a file may hold it."""
    return json.dumps([sample.name, *sorted(sample.labels.items())])


def read_totals(found: Any) -> Totals:
    """Return what a file says of totals. Raises: ValueError, TypeError, AttributeError."""
    return {str(name): float(value) for name, value in found.items()}


def read_time(found: Any) -> int:
    """Return what a file says of a time. Raises: ValueError, TypeError, OverflowError."""
    if (time := int(found)) < 0:
        raise ValueError("a time before 1970")
    return time


class StartTime:
    """Kept in a file for the next exporter; times are Unix nanoseconds."""

    def __init__(self, path: Path, now: int, identity: Callable[[], str] = str) -> None:
        """identity: names the directory that the totals are of; empty where that is not known."""
        self._path = path
        self._identity = identity
        self._start, self._looked, self._totals, self._of = self._read() or (now, now, {}, "")

    def of(self, families: Iterable[Metric], now: int) -> int:
        """Return the start of these families' totals. Raises: OSError where it cannot be kept."""
        totals = {
            key(sample): sample.value
            for family in families
            if family.type == "counter"
            for sample in family.samples
        }
        counted = [name for name, total in self._totals.items() if total > 0]
        less = sum(totals.get(name, 0.0) < self._totals[name] for name in counted)
        found = self._identity()
        if (self._of and found and found != self._of) or less * 2 > len(counted):
            # They began anew behind the last look; what it saw was of the old ones.
            self._start = self._looked + 1
        self._start = min(self._start, now)  # the clock may have been ahead
        self._looked, self._totals, self._of = now, totals, found or self._of
        self._write()
        return self._start

    def _read(self) -> tuple[int, int, Totals, str] | None:
        try:
            found = json.loads(self._path.read_text())
            of = str(found.get("of", ""))
            start, looked = read_time(found["start"]), read_time(found["looked"])
            return start, looked, read_totals(found["totals"]), of
        except Exception:  # whatever is wrong with it: it must not end who reads it
            return None

    def _write(self) -> None:
        state: dict[str, Any] = {
            "start": self._start,
            "looked": self._looked,
            "totals": self._totals,
        }
        state["of"] = self._of
        replace(self._path, json.dumps(state))


def replace(path: Path, text: str) -> None:
    """Write a file so that under its name there is all of it or what was there. Raises: OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_suffix(".new")
    temporary.write_text(text)
    temporary.rename(path)
