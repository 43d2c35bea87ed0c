"""The native buckets of the dead, which the archive takes over with their counts."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from prefork_metrics.directory import native_records
from prefork_metrics.directory.native_records import KIND, Counts, are_counts
from prefork_metrics.directory.removed import Match, Natives, matches


def merged(
    archive: Iterable[Path], dead: Iterable[tuple[list[Path], Natives]], match: Match | None
) -> bytes:
    """Return the content of the file to lie beside the archive; nothing where there are none.

    archive: what lies beside the present one; dead: of each member what lies beside its files, and
    what of its counts is not shown; match: what is removed on the way.
    """
    found: dict[str, Counts] = {}
    native_records.merge(found, read(archive))
    for sides, before in dead:
        of_member = read(sides)
        native_records.without(of_member, before)
        native_records.merge(found, of_member)
    kept = {
        key: counts
        for key, counts in found.items()
        if are_counts(counts) and (match is None or not matches(key, match))
    }
    return native_records.encode(kept) if kept else b""


def read(sides: Iterable[Path]) -> dict[str, Counts]:
    """Return the counts in what lies beside the files of one member, as much as can be read: a
    histogram whose native buckets are not whole is shown without."""
    for path in sides:
        if path.name.startswith(f"{KIND}_"):
            with suppress(OSError):
                found = native_records.read(path)
                return {key: counts for key, counts in found.items() if native_records.is_key(key)}
    return {}


def counted(sides: Iterable[Path], match: Match) -> Natives:
    """Return what a living member has counted of series that are removed, by key and place."""
    return {
        key: native_records.sparse(counts)
        for key, counts in read(sides).items()
        if matches(key, match)
    }
