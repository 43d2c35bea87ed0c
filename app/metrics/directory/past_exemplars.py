"""The exemplars of the dead, which the archive takes over with their counts."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from app.metrics.directory import codec, exemplar_records
from app.metrics.directory.codec import Entry
from app.metrics.directory.exemplar_records import KIND, Exemplar


class PastExemplars:
    """Collects exemplars by the keys of their buckets; of each bucket one stays."""

    def __init__(self) -> None:
        self._shown: dict[str, Exemplar] = {}

    def note(self, entries: Sequence[Entry], sides: Iterable[Path]) -> None:
        """Take in what lies beside a file of histograms with these entries."""
        for path in sides:
            if path.name.startswith(f"{KIND}_"):
                with suppress(OSError):  # it costs no more than exemplars
                    self._take(entries, exemplar_records.read(path))

    def file(self, entries: Sequence[Entry]) -> bytes:
        """Return the content of the file to lie beside the archive's histograms."""
        return exemplar_records.file_of(
            {
                position: self._shown[entry.key]
                for position, entry in zip(codec.positions(entries), entries, strict=True)
                if entry.key in self._shown
            }
        )

    def _take(self, entries: Sequence[Entry], found: dict[int, Exemplar]) -> None:
        for position, entry in zip(codec.positions(entries), entries, strict=True):
            exemplar = found.get(position)
            if exemplar is not None and exemplar.follows(self._shown.get(entry.key)):
                self._shown[entry.key] = exemplar
