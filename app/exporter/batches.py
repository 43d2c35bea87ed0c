"""Takes records out of the rings, as batches that give their room back once they are through."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from app.tracing.records import Span, decode
from app.tracing.rings import RingReader

MOST_SPANS = 512
MOST_BYTES = 256 * 1024
"""Of records: mostly one body (see `app.exporter.messages`)."""
_log = logging.getLogger(__name__)


@dataclass
class Batch:
    """Spans that are sent together."""

    spans: list[Span] = field(default_factory=list)
    unreadable: int = 0
    """How many spans were in records that cannot be read, as far as that can be told."""
    _positions: dict[RingReader, int] = field(default_factory=dict)
    _bytes: int = 0

    def add(self, reader: RingReader, record: bytes, position: int) -> None:
        """Take a record up; one that is none is counted and passed over."""
        self._positions[reader] = position
        self._bytes += len(record)
        try:
            self.spans += list(decode(record))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.unreadable += _spans_in(record)
            _log.warning("a record is no trace", extra={"why": str(error)})

    @property
    def is_full(self) -> bool:
        return len(self.spans) >= MOST_SPANS or self._bytes >= MOST_BYTES

    def release(self) -> None:
        """Give the room of the records back: they are through, or given up."""
        for reader, position in self._positions.items():
            reader.release(position)


def _spans_in(record: bytes) -> int:
    """Return how many spans a record of a shape unknown seems to have, one at least."""
    try:
        return 1 + len(json.loads(record)["c"])
    except (ValueError, KeyError, TypeError):
        return 1


class Batches:
    """All rings of a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._readers: dict[Path, RingReader] = {}

    def take(self) -> Iterator[Batch]:
        """Yield what there is, as full batches and a last one."""
        batch = Batch()
        for reader in self._current():
            for record, position in reader.records():
                batch.add(reader, record, position)
                if batch.is_full:
                    yield batch
                    batch = Batch()
        if batch.spans or batch.unreadable:
            yield batch
        else:
            batch.release()

    def _current(self) -> list[RingReader]:
        for path in sorted(self._directory.glob("ring-[0-9][0-9]")):
            known = self._readers.get(path)
            if known is not None and known.is_of(path):
                continue
            if known is not None:
                self._readers.pop(path).close()
            try:
                self._readers[path] = RingReader(path)
            except (OSError, ValueError):
                continue  # not made yet, or gone again
        return list(self._readers.values())

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()
