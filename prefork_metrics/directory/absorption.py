"""The dead are absorbed: what they counted goes into one archive, and their files go.

The order of the steps is what makes it safe against a kill at any instant, with nothing to undo:

1. Leftovers of an absorption that was cut short are deleted: files of members that the manifest
   names, generations that it does not name, files written aside.
2. A new generation of the archive is written, from the present one and the files of the dead.
   Nobody reads it: the manifest names another. A kill leaves garbage, which 1 deletes.
3. The manifest that names the new generation, and the dead as held by it, is renamed into place.
   In that instant, and for every reader at once, the archive takes over from the files.
4. The files of the dead and the old generation are deleted. Nobody reads them any more: where a
   kill or an error keeps one, 1 deletes it the next time, and until then its owner stays named.

Readers hold the lock shared, so that no file goes while they read.
"""

import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prefork_metrics.directory import (
    codec,
    disk,
    layout,
    locks,
    manifest,
    past_natives,
    removed,
    starts,
)
from prefork_metrics.directory.codec import Entry, ValueFileUnreadableError
from prefork_metrics.directory.exemplar_records import FILES, KIND
from prefork_metrics.directory.layout import Listing, MemberFiles, ValueFile
from prefork_metrics.directory.manifest import Manifest
from prefork_metrics.directory.membership import is_live
from prefork_metrics.directory.merging import merge
from prefork_metrics.directory.native_records import KIND as NATIVE
from prefork_metrics.directory.past_exemplars import PastExemplars
from prefork_metrics.directory.removed import Before, Match, Removed
from prefork_metrics.directory.starts import TOTALS, PastStarts
from prefork_metrics.directory.states import KIND as STATES
from prefork_metrics.directory.states import States, encode, newest

BATCH = 16
"""Members absorbed in one go. More: scrapes wait longer. Less: many dead take longer to absorb,
since each go writes the whole archive."""

BAD_FILES_KEPT = 16


@dataclass(frozen=True)
class Absorption:
    """How many members were absorbed, and how many files were bad and set aside."""

    members: int = 0
    bad_files: int = 0


def remove(directory: Path, match: Match, wait: float = locks.WAIT) -> None:
    """Remove series, whoever has counted them: see `removed`.

    Raises: MetricsDirectoryBusyError after `wait` seconds; OSError. Nothing has changed then.
    """
    with locks.exclusive(directory, wait):
        _Absorber(directory, match).run()


def absorb(directory: Path, wait: float = locks.WAIT) -> Absorption:
    """Absorb all members that are dead; anybody may, at any time.

    Raises: MetricsDirectoryBusyError after `wait` seconds; OSError (the disk is full, the directory
    is gone or read-only). Nothing is lost then: a later call goes on where this one stopped.
    """
    members = bad_files = 0
    while True:
        with locks.exclusive(directory, wait):
            done = _Absorber(directory).run()
        members += done.members
        bad_files += done.bad_files
        if done.members < BATCH:
            return Absorption(members, bad_files)


class _Absorber:
    """One go, by somebody who holds the lock alone."""

    def __init__(self, directory: Path, match: Match | None = None) -> None:
        """`match`: what is removed on the way."""
        self._directory = directory
        self._match = match
        self._listing = layout.scan(directory)
        self._manifest = manifest.read(directory, self._listing)
        self._sides = self._listing.archive_sides.get(self._manifest.generation, [])
        self._removed = removed.read(self._sides)
        self._keys: dict[bytes, str] = {}
        self._exemplars = PastExemplars()
        self._starts = PastStarts()
        self._bad_files = 0

    def run(self) -> Absorption:
        if self._manifest.is_bad:
            self._restore_manifest()
        remaining = self._clear_leftovers()
        dead = self._dead()
        if dead or self._match is not None:
            merged = self._merge(dead)
            states = self._states(dead)
            natives = self._natives(dead)
            still_removed = self._still_removed(dead, states)
            past = (*self._listing.archives, *self._listing.archive_sides)
            generation = max((self._manifest.generation, *past)) + 1
            self._write(generation, merged, states, natives, still_removed)
            manifest.commit(self._directory, Manifest(generation, remaining.union(dead)))
            self._delete(dead)
        self._bound_bad_files()
        return Absorption(len(dead), self._bad_files)

    def _restore_manifest(self) -> None:
        self._set_aside(self._directory / layout.MANIFEST)
        manifest.commit(self._directory, self._manifest)

    def _clear_leftovers(self) -> frozenset[str]:
        """Return the absorbed members whose files could not all be deleted."""
        for path in self._listing.temporary:
            disk.remove(path)
        for generation in {*self._listing.archives, *self._listing.archive_sides}:
            if generation != self._manifest.generation:
                self._remove_archive(generation)
        return frozenset(name for name in self._manifest.absorbed if not self._remove_all_of(name))

    def _remove_archive(self, generation: int) -> None:
        for file in self._listing.archives.get(generation, []):
            disk.remove(file.path)
        for path in self._listing.archive_sides.get(generation, []):
            disk.remove(path)

    def _remove_all_of(self, name: str) -> bool:
        if name not in self._listing.members:
            return True
        return all([disk.remove(path) for path in self._listing.members[name].paths()])

    def _dead(self) -> list[str]:
        dead = (
            name
            for name, member_files in self._listing.members.items()
            if name not in self._manifest.absorbed and not is_live(member_files.marker)
        )
        # A removal has to reach all of them at once.
        most = BATCH if self._match is None else len(self._listing.members)
        return [name for name, _ in zip(dead, range(most), strict=False)]

    def _merge(self, dead: list[str]) -> dict[str, list[Entry]]:
        contents: defaultdict[str, list[tuple[list[Entry], bool]]] = defaultdict(list)
        for file in self._listing.archives.get(self._manifest.generation, []):
            entries = self._taken(file, self._sides)
            contents[file.prefix].append((entries, True))
            if file.prefix in TOTALS:
                found = starts.read(self._sides, file.prefix, len(entries))
                self._starts.note(entries, found)
        for name in dead:
            for file in self._listing.members[name].values:
                if not file.is_live_gauge:
                    contents[file.prefix].append((self._since(name, file), False))
        return {
            prefix: [entry for entry in merge(prefix, files) if not self._is_removed(entry)]
            for prefix, files in contents.items()
        }

    def _since(self, name: str, file: ValueFile) -> list[Entry]:
        """Return what a member has counted, or has since its series were removed."""
        totals = file.prefix in TOTALS
        entries = removed.since(
            self._taken(file, self._listing.members[name].sides),
            self._removed.of(name),
            self._removed.times.get(name, {}),
            totals=totals,
        )
        if totals:
            self._starts.note(entries, (entry.timestamp for entry in entries))
        return entries

    def _is_removed(self, entry: Entry) -> bool:
        return self._match is not None and removed.matches(entry.key, self._match)

    def _states(self, dead: list[str]) -> States:
        """Return the states that the archive holds from now on."""
        sides = [*self._sides, *(side for name in dead for side in self._of(name).sides)]
        found = newest(sides, self._removed.states)
        if self._match is None:
            return found
        return {
            key: state for key, state in found.items() if not self._match(state.name, state.labels)
        }

    def _natives(self, dead: list[str]) -> bytes:
        """Return the native buckets that the archive holds from now on."""
        natives = ((self._of(name).sides, self._removed.natives.get(name, {})) for name in dead)
        return past_natives.merged(self._sides, natives, self._match)

    def _still_removed(self, dead: list[str], archived: States) -> Removed:
        """Return what is not shown from now on of those that live."""
        gone = self._manifest.absorbed.union(dead)
        living = [name for name in self._listing.members if name not in gone]
        kept = {name: before for name in living if (before := self._removed.of(name))}
        times = {name: self._removed.times.get(name, {}) for name in kept}
        natives = {name: self._removed.natives.get(name, {}) for name in kept}
        states = newest((side for name in living for side in self._of(name).sides), {})
        until = {key: at for key, at in self._removed.states.items() if key in states}
        if self._match is not None:
            for name in living:
                # First, as a scrape reads them last: so there are never fewer than in the others.
                counted = past_natives.counted(self._of(name).sides, self._match)
                if before := self._before(name, self._match):
                    natives[name] = {**natives.get(name, {}), **counted}
                    kept[name] = {**kept.get(name, {}), **before}
                    times[name] = {**times.get(name, {}), **dict.fromkeys(before, time.time())}
            for key, state in states.items():
                if self._match(state.name, state.labels):
                    until[key] = state.time
        return Removed(kept, until, times, natives)

    def _before(self, name: str, match: Match) -> Before:
        """Return what a living member has counted of the series that are removed."""
        return {
            entry.key: (entry.value, entry.timestamp)
            for file in self._of(name).values
            for entry in self._read(file)
            if removed.matches(entry.key, match)
        }

    def _of(self, name: str) -> MemberFiles:
        return self._listing.members[name]

    def _taken(self, file: ValueFile, sides: list[Path]) -> list[Entry]:
        entries = self._read(file)
        if file.prefix in FILES:
            self._exemplars.note(file.prefix, entries, sides)
        return entries

    def _read(self, file: ValueFile) -> list[Entry]:
        """A bad file costs only itself."""
        try:
            return codec.read(file.path, self._keys)
        except FileNotFoundError:
            return []
        except ValueFileUnreadableError:
            self._set_aside(file.path)
            return []

    def _set_aside(self, path: Path) -> None:
        disk.set_aside(path)
        self._bad_files += 1

    def _write(
        self,
        generation: int,
        merged: dict[str, list[Entry]],
        states: States,
        natives: bytes,
        still_removed: Removed,
    ) -> None:
        name = layout.archive_name(generation)
        beside = {
            KIND: self._exemplars.file(merged),
            starts.KIND: self._starts.file(merged),
            STATES: encode(states) if states else b"",
            NATIVE: natives,
            removed.KIND: still_removed.encoded() if still_removed else b"",
        }
        for kind, content in beside.items():
            if content:
                disk.write(layout.side_path(self._directory, kind, name), content)
        for prefix, entries in merged.items():
            if entries:
                path = layout.values_path(self._directory, prefix, name)
                disk.write(path, codec.encode(entries))

    def _delete(self, dead: list[str]) -> None:
        for name in dead:
            self._remove_all_of(name)
        self._remove_archive(self._manifest.generation)

    def _bound_bad_files(self) -> None:
        if not (self._bad_files or len(self._listing.bad) > BAD_FILES_KEPT):
            return
        for path in _newest_first(layout.scan(self._directory))[BAD_FILES_KEPT:]:
            disk.remove(path)


def _newest_first(listing: Listing) -> list[Path]:
    ages: dict[Path, float] = {}
    for path in listing.bad:
        with suppress(FileNotFoundError):
            ages[path] = path.lstat().st_ctime  # when it was renamed
    return sorted(ages, key=lambda path: ages[path], reverse=True)
