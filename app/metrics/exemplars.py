"""Exemplars: for each bucket of a histogram a request that fell into it, kept beside the values.

The client library's file format has no place for them, so each process has one more file (see
`directory.exemplar_records`). When a process has ended, the archive takes its exemplars over with
its counts: without them an older one of another process would be shown, which Prometheus refuses.
"""

import logging
import mmap
from pathlib import Path

from app.core.logging import request_id, trace_id
from app.metrics.directory import disk
from app.metrics.directory.exemplar_records import KIND, LABELS, SIZE, Exemplar, packed, read

__all__ = ["KIND", "LABELS", "Exemplar", "ExemplarFile", "of_request", "read"]

_INITIAL_RECORDS = 64
_access_log = logging.getLogger("app.access")


class ExemplarFile:
    """The exemplars of this process; callers take turns."""

    def __init__(self, path: Path) -> None:
        """Map the file. Raises: OSError."""
        self._path = path
        self._offsets: dict[int, int] = {}
        self._latest: dict[int, float] = {}
        self._map(_INITIAL_RECORDS * SIZE)

    def put(self, position: int, exemplar: Exemplar) -> None:
        """Keep the exemplar of the bucket whose value is at `position`; not where a clock that was
        set back makes it older than the last. Raises: OSError."""
        if exemplar.time < self._latest.get(position, 0.0):
            return
        offset = self._offsets.get(position)
        if offset is None:
            offset = len(self._offsets) * SIZE
            if offset + SIZE > len(self._bytes):
                self._map(2 * len(self._bytes))
            self._offsets[position] = offset
        self._bytes[offset : offset + SIZE] = packed(position, exemplar)
        self._latest[position] = exemplar.time

    def _map(self, size: int) -> None:
        self._bytes: mmap.mmap = disk.mapped(self._path, size)


def of_request() -> dict[str, str] | None:
    """Return the label of an exemplar that leads to the request being handled.

    None outside a request, where the label would be too long, and where no line would be found.
    """
    for label, variable in (("trace_id", trace_id), ("request_id", request_id)):
        if id := variable.get():
            fits = Exemplar(label, id, 0.0, 0.0).fits and _access_log.isEnabledFor(logging.INFO)
            return {label: id} if fits else None
    return None
