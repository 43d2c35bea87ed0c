"""Exemplars: for each bucket or counter an observation that fell into it, kept beside the values.

The client library's file format has no place for them, so each process has one more file (see
`directory.exemplar_records`). When a process has ended, the archive takes its exemplars over with
its counts: without them an older one of another process would be shown, which Prometheus refuses.
"""

import mmap
from pathlib import Path

from prefork_metrics.directory import disk
from prefork_metrics.directory.exemplar_records import (
    KIND,
    SIZE,
    Exemplar,
    Pairs,
    Place,
    packed,
    read,
)

__all__ = ["KIND", "Exemplar", "ExemplarFile", "Pairs", "Place", "read"]

_INITIAL_RECORDS = 64


class ExemplarFile:
    """The exemplars of this process; callers take turns."""

    def __init__(self, path: Path) -> None:
        """Map the file. Raises: OSError."""
        self._path = path
        self._offsets: dict[Place, int] = {}
        self._latest: dict[Place, int] = {}
        self._map(_INITIAL_RECORDS * SIZE)

    def put(self, place: Place, exemplar: Exemplar) -> None:
        """Keep the exemplar of the value at `place`; not where Prometheus would refuse it after the
        last: in the same millisecond, or older by a clock that was set back. Raises: OSError."""
        if exemplar.milliseconds <= self._latest.get(place, 0):
            return
        offset = self._offsets.get(place)
        if offset is None:
            offset = len(self._offsets) * SIZE
            if offset + SIZE > len(self._bytes):
                self._map(2 * len(self._bytes))
            self._offsets[place] = offset
        self._bytes[offset : offset + SIZE] = packed(place, exemplar)
        self._latest[place] = exemplar.milliseconds

    def _map(self, size: int) -> None:
        self._bytes: mmap.mmap = disk.mapped(self._path, size)
