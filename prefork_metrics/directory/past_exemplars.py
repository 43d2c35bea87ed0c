"""The exemplars of the dead, which the archive takes over with their counts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from prefork_metrics.directory import codec, exemplar_records
from prefork_metrics.directory.codec import Entry
from prefork_metrics.directory.exemplar_records import KIND, Exemplar, Place


class PastExemplars:
    """Collects exemplars by the keys of their values; of each value one stays."""

    def __init__(self) -> None:
        self._shown: dict[str, Exemplar] = {}

    def note(self, kind: str, entries: Sequence[Entry], sides: Iterable[Path]) -> None:
        """Take in what lies beside a file of a kind with these entries."""
        for path in sides:
            if path.name.startswith(f"{KIND}_"):
                with suppress(OSError):  # it costs no more than exemplars
                    self._take(kind, entries, exemplar_records.read(path))

    def file(self, archive: Mapping[str, Sequence[Entry]]) -> bytes:
        """Return the content of the file to lie beside an archive with these entries, by kind."""
        return exemplar_records.file_of(
            {
                (kind, position): self._shown[entry.key]
                for kind in exemplar_records.FILES
                for position, entry in _placed(archive.get(kind, ()))
                if entry.key in self._shown
            }
        )

    def _take(self, kind: str, entries: Sequence[Entry], found: Mapping[Place, Exemplar]) -> None:
        for position, entry in _placed(entries):
            exemplar = found.get((kind, position))
            if exemplar is not None and exemplar.follows(self._shown.get(entry.key)):
                self._shown[entry.key] = exemplar


def _placed(entries: Sequence[Entry]) -> Iterator[tuple[int, Entry]]:
    return zip(codec.positions(entries), entries, strict=True)
