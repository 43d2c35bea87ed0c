"""What a scrape reads: the values of the living, of the dead not yet absorbed, and the archive."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from prefork_metrics.directory import layout, locks, manifest, removed
from prefork_metrics.directory.heartbeat import State, state_of
from prefork_metrics.directory.membership import is_live
from prefork_metrics.directory.removed import NOTHING, Removed


@dataclass(frozen=True)
class Snapshot:
    """The files whose values count, the archive's first, and how many members there are.

    `sides` are what the members keep beside their values.
    `live_files` is how many of `files` belong to the living.
    `archive` are those of `files` that are the archive's; see `merging` for their rests.
    `removed` is what of the living is not shown.
    `states` is how much of each living member can be shown: the live gauges of one that is silent
    are left out, as those of the dead are.
    """

    files: list[Path]
    archive: list[Path]
    sides: list[Path]
    live_files: int
    live: int
    dead: int
    states: Counter[State] = field(default_factory=Counter)
    removed: Removed = NOTHING


@contextmanager
def snapshot(directory: Path, wait: float = locks.WAIT) -> Iterator[Snapshot]:
    """Hold the directory still: read the files inside the block, and be quick.

    A member that dies meanwhile keeps its files. Values of the living go on changing.
    Raises: MetricsDirectoryBusyError after `wait` seconds; OSError.
    """
    with locks.shared(directory, wait):
        yield _take(directory)


def _take(directory: Path) -> Snapshot:
    listing = layout.scan(directory)
    current = manifest.read(directory, listing)
    archive = [file.path for file in listing.archives.get(current.generation, [])]
    files, sides = list(archive), list(listing.archive_sides.get(current.generation, []))
    series_removed = removed.read(sides)
    live_files = dead = 0
    states: Counter[State] = Counter()
    for name, member_files in listing.members.items():
        if name in current.absorbed:
            continue
        state = state_of(member_files) if is_live(member_files.marker) else None
        if state is None:
            dead += 1
        else:
            states[state] += 1
        is_present = state not in (None, State.SILENT)
        counting = [
            file.path for file in member_files.values if is_present or not file.is_live_gauge
        ]
        live_files += len(counting) if state else 0
        files += counting
        sides += member_files.sides
    return Snapshot(files, archive, sides, live_files, states.total(), dead, states, series_removed)
