"""Time of one scrape of four processes: ours, cold and warm, beside the stock client's collector.

Ours is the whole way of the product: the directory's locks, which members live, the text. Between
two scrapes a tenth of the values of one process changes. Cold is the first scrape of a process,
warm each later one; the stock collector keeps nothing between scrapes. They take turns
of three scrapes.
"""

import statistics

from benchmarks import place
from benchmarks.series import Member, Ours, Stock
from benchmarks.table import Bar, Section, milliseconds, progress, times

PROCESSES = 4
LINES = (300, 3_000, 30_000)
ROUNDS = 7
_IN_A_ROW = 3
# The stock collector needs seconds for the largest: fewer rounds are enough to tell.
_STOCK_SECONDS = 4.0
_BAR_LINES, _TIMES_FASTER = 3_000, 15.0


def run() -> list[Bar]:
    """Measure, print the section, and return how its bar was met."""
    title = f"Scrape of {PROCESSES} live processes, by lines"
    columns = ("ours, cold", "ours, warm", "stock", "stock/ours")
    section = Section(title, "lines", *columns, width=10)
    bars = []
    for lines in LINES:
        progress(f"scrapes of {lines:,d} lines")
        cold, warm, stock = _measure(lines)
        ratio = stock / warm
        section.row(f"{lines:,d}", *map(milliseconds, (cold, warm, stock)), times(ratio))
        if lines == _BAR_LINES:
            promise = f"a scrape of {lines:,d} lines {_TIMES_FASTER:.0f}x faster"
            bars.append(Bar(promise, times(ratio), ratio >= _TIMES_FASTER))
    return bars


def _measure(lines: int) -> tuple[float, float, float]:
    with place.temporary() as mine, place.temporary() as theirs:
        members = [Member(mine, lines) for _ in range(PROCESSES)]
        ours, stock = Ours(mine, lines), Stock(theirs, lines)
        stock.grow(PROCESSES)
        cold = statistics.median(Ours(mine, lines).seconds() for _ in range(3))
        ours.seconds()
        warm: list[float] = []
        slow: list[float] = []
        for _ in range(ROUNDS):
            for _ in range(_IN_A_ROW):
                members[0].count()
                warm.append(ours.seconds())
            if sum(slow) < _STOCK_SECONDS:
                slow.extend(stock.seconds() for _ in range(_IN_A_ROW))
        for member in members:
            member.die()
        return cold, statistics.median(warm), statistics.median(slow)
