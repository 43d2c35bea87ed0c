"""Time of one scrape and size of the directory, by how many processes there have ever been.

Four live at a time. They are replaced all at once, as on a reload, and the dead are absorbed, as
gunicorn's master does it. The time is compared with that of four processes which nobody ever
replaced: their scrapes take turns. The stock client keeps the files of every process.
"""

import statistics
from pathlib import Path

from benchmarks import place
from benchmarks.series import Member, Ours, Stock, allocated
from benchmarks.table import Bar, Section, milliseconds, progress, size, times
from prefork_metrics.directory import absorb

SEEN = (1, 4, 16, 64, 256, 1_000)
LIVE = 4
LINES = 3_000
ROUNDS = 15
# The stock collector needs ten seconds and more for the last row: one round is enough to tell.
_STOCK_ROUNDS = {1: 5, 4: 5, 16: 3}
_AT_MOST = 1.5


def run() -> list[Bar]:
    """Measure, print the section, and return how its bars were met."""
    title = f"Scrape of {LINES:,d} lines and size of the directory, by processes ever seen"
    columns = ("ours", "of start", "size", "of start", "stock", "size", "stock/ours")
    section = Section(title, "processes", *columns, width=10)
    with place.temporary() as new, place.temporary() as mine, place.temporary() as theirs:
        start = Workers(new)
        start.replace(LIVE)
        workers, stock = Workers(mine), Stock(theirs, LINES)
        for seen in SEEN:
            progress(f"{seen:,d} processes")
            workers.replace(min(LIVE, seen - workers.seen))
            while workers.seen < seen:
                workers.replace(LIVE)
            stock.grow(seen)
            seconds, ratio = _beside(workers, start)
            larger = allocated(mine) / allocated(new)
            slow = statistics.median(stock.seconds() for _ in range(_STOCK_ROUNDS.get(seen, 1)))
            cells = [milliseconds(seconds), times(ratio), size(allocated(mine)), times(larger)]
            cells += [milliseconds(slow), size(allocated(theirs)), times(slow / seconds)]
            section.row(f"{seen:,d}", *cells)
    return [
        Bar(f"scrape after {seen:,d} at most {_AT_MOST}x", f"{ratio:.2f}x", ratio <= _AT_MOST),
        Bar(f"directory after {seen:,d} at most {_AT_MOST}x", f"{larger:.2f}x", larger <= _AT_MOST),
    ]


class Workers:
    """The live processes of a directory, and how many there have ever been."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._live: list[Member] = []
        self._scrapes = Ours(directory, LINES)
        self.seen = 0

    def replace(self, count: int) -> None:
        """Start so many, and let those that were there before die and be absorbed."""
        before, self._live = self._live, [Member(self._directory, LINES) for _ in range(count)]
        self.seen += count
        for member in before:
            member.die()
        absorb(self._directory)

    def seconds(self) -> float:
        """Return the time of a scrape, after one of them has counted."""
        self._live[0].count()
        return self._scrapes.seconds()


def _beside(workers: Workers, start: Workers) -> tuple[float, float]:
    """Return the time of a scrape, and how many times that at the start."""
    workers.seconds()  # the first one after a replacement makes the plan anew
    mine, theirs = [], []
    for _ in range(ROUNDS):
        mine.append(workers.seconds())
        theirs.append(start.seconds())
    median = statistics.median(mine)
    return median, median / statistics.median(theirs)
