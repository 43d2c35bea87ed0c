"""When each total (counter, histogram, summary) began: the first appearance of its series.

A member's file has it in the entry's time, which stands for nothing there. In the archive the rests
of the sums stand in that place (see `merging`), so the starts lie beside it: three counts, then a
double for each entry of its files of counters, histograms and summaries, in their order.

Over several processes the earliest holds. Where one is not known (0: counted by a release before
this, or by the stock library), none is.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from struct import Struct, error

from prefork_metrics.directory import disk
from prefork_metrics.directory.codec import Entry

KIND = "starts"
TOTALS = ("counter", "histogram", "summary")

_COUNTS = Struct("=3q")


class PastStarts:
    """The starts of what the archive holds from now on: seconds since 1970, by key."""

    def __init__(self) -> None:
        self._earliest: dict[str, float] = {}

    def note(self, entries: Iterable[Entry], starts: Iterable[float]) -> None:
        """Take in when these entries began."""
        for entry, start in zip(entries, starts, strict=True):
            self._earliest[entry.key] = min(self._earliest.get(entry.key, start), start)

    def file(self, archive: Mapping[str, Sequence[Entry]]) -> bytes:
        """Return the content of the file to lie beside an archive with these entries, by kind;
        nothing where no start is known."""
        of_kinds = [archive.get(kind, ()) for kind in TOTALS]
        starts = array("d")
        for entries in of_kinds:
            starts.extend(self._earliest.get(entry.key, 0.0) for entry in entries)
        return _COUNTS.pack(*map(len, of_kinds)) + starts.tobytes() if any(starts) else b""


def read(sides: Iterable[Path], kind: str, number: int) -> Sequence[float]:
    """Return the starts of the archive's entries of a kind, `number` of them.

    All are 0 where that cannot be read: it costs no more than starts.
    """
    for path in sides:
        if path.name.startswith(f"{KIND}_"):
            with suppress(OSError, error, ValueError):
                data = disk.read(path)
                counts = _COUNTS.unpack_from(data)
                place = TOTALS.index(kind)
                starts = array("d", data[_COUNTS.size :])
                if counts[place] == number and len(starts) == sum(counts):
                    return starts[sum(counts[:place]) :][:number]
    return [0.0] * number
