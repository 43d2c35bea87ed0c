"""Takes records out of the rings, as batches that give their room back once they are through."""

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from app.tracing.rings import RingReader

MOST_ITEMS = 512
MOST_BYTES = 256 * 1024
"""Of records: mostly one body (see `app.exporter.messages`)."""
T = TypeVar("T")
Decode = Callable[[bytes], Iterable[T]]
_log = logging.getLogger(__name__)


class Batch(Generic[T]):
    """Spans, or lines of the log, that are sent together."""

    def __init__(self, decode: Decode[T], number_in: Callable[[bytes], int]) -> None:
        """decode: returns what a record holds, and raises for what is none; number_in: returns how
        many items such a record seems to have held."""
        self.items: list[T] = []
        self.unreadable = 0
        """How many items were in records that cannot be read, as far as that can be told."""
        self._number_in = number_in
        self._decode = decode
        self._positions: dict[RingReader, int] = {}
        self._bytes = 0

    def add(self, reader: RingReader, record: bytes, position: int) -> None:
        """Take a record up; one that is none is counted and passed over."""
        self._positions[reader] = position
        self._bytes += len(record)
        try:
            self.items += list(self._decode(record))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.unreadable += self._number_in(record)
            _log.warning("a record cannot be read", extra={"why": str(error)})

    @property
    def is_full(self) -> bool:
        return len(self.items) >= MOST_ITEMS or self._bytes >= MOST_BYTES

    def release(self) -> None:
        """Give the room of the records back: they are through, or given up."""
        for reader, position in self._positions.items():
            reader.release(position)


class Batches(Generic[T]):
    """All rings of a directory."""

    def __init__(
        self, directory: Path, decode: Decode[T], number_in: Callable[[bytes], int]
    ) -> None:
        """See `Batch` for `decode` and `number_in`."""
        self._directory = directory
        self._new_batch = partial(Batch[T], decode, number_in)
        self._readers: dict[Path, RingReader] = {}

    def take(self) -> Iterator[Batch[T]]:
        """Yield what there is, as full batches and a last one."""
        batch = self._new_batch()
        for reader in self._current():
            for record, position in reader.records():
                batch.add(reader, record, position)
                if batch.is_full:
                    yield batch
                    batch = self._new_batch()
        if batch.items or batch.unreadable:
            yield batch
        else:
            batch.release()

    def lost(self) -> int:
        """Return how many records had no room since this was asked last (see `RingWriter.lose`)."""
        return sum(reader.lost() for reader in self._readers.values())

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
