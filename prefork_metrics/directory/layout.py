"""The names in the metrics directory, and what each says.

    counter_<member>.db  histogram_<member>.db  summary_<member>.db  gauge_<mode>_<member>.db
                            what a member counted, in the client library's format
    <kind>_<member>.side    what else a member keeps (exemplars, native buckets, heartbeat); goes
                            when it goes
    member_<member>.lock    the member's marker; whoever holds its lock lives
    counter_archive<n>.db … what the dead counted; only the generation that the manifest names
    <kind>_archive<n>.side  beside it: exemplars, native buckets and states of the dead, when
                            totals began, and what is removed
    member_server.lock      see `ownership`: named so that older releases know it as a marker
    manifest.json           the commit record: the generation, and the members that it holds
    identity.txt            which directory this is: made anew when it has been emptied
    door.lock  gate.lock    see `locks`
    *.tmp                   being written aside; nobody's after a kill
    *.bad                   a file that could not be read, kept for whoever wants to know why

Stock tools split the names at `_`: a member's name has none. Files of a member without a marker
(left by a version that named them by pid) belong to the dead.
"""

import os
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

# On disk they are called as they were in earlier releases, beside which ours may run.
READ_WRITE_LOCK = "door.lock"
WRITER_PREFERENCE_LOCK = "gate.lock"
OWNER = "member_server.lock"
MANIFEST = "manifest.json"
IDENTITY = "identity.txt"
TEMPORARY = ".tmp"
BAD = ".bad"

_VALUES = re.compile(r"(?P<prefix>counter|histogram|summary|gauge_[a-z]+)_(?P<member>[^_]+)\.db")
_SIDE = re.compile(r"[a-z]+_(?P<member>[^_]+)\.side")
_MARKER = re.compile(r"member_(?P<member>[^_]+)\.lock")
_ARCHIVE = re.compile(r"archive(?P<generation>[0-9]+)")


@dataclass(frozen=True)
class ValueFile:
    """A file of values; `prefix` is its type, for gauges with the mode: `gauge_max`."""

    path: Path
    prefix: str

    @property
    def is_live_gauge(self) -> bool:
        return self.prefix.startswith("gauge_live")


@dataclass
class MemberFiles:
    """What one member has in the directory."""

    values: list[ValueFile] = field(default_factory=list)
    sides: list[Path] = field(default_factory=list)
    marker: Path | None = None

    def paths(self) -> list[Path]:
        """Everything, the marker last."""
        paths = [file.path for file in self.values] + self.sides
        return paths if self.marker is None else [*paths, self.marker]


@dataclass
class Listing:
    """The directory's files, sorted by whose they are."""

    members: defaultdict[str, MemberFiles] = field(default_factory=lambda: defaultdict(MemberFiles))
    archives: defaultdict[int, list[ValueFile]] = field(default_factory=lambda: defaultdict(list))
    archive_sides: defaultdict[int, list[Path]] = field(default_factory=lambda: defaultdict(list))
    temporary: list[Path] = field(default_factory=list)
    bad: list[Path] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


def values_path(directory: Path, prefix: str, owner: str) -> Path:
    """Return where an owner (a member, or `archive_name()`) has its values of a type."""
    return directory / f"{prefix}_{owner}.db"


def side_path(directory: Path, kind: str, member: str) -> Path:
    """Return where a member keeps something beside its values; `kind` is lower-case letters."""
    return directory / f"{kind}_{member}.side"


def marker_path(directory: Path, member: str) -> Path:
    return directory / f"member_{member}.lock"


def archive_name(generation: int) -> str:
    return f"archive{generation}"


def scan(directory: Path) -> Listing:
    """List the directory, in the order of the names. Raises: OSError."""
    listing = Listing()
    for name in sorted(os.listdir(directory)):
        if not _sort_in(listing, directory / name):
            listing.foreign.append(name)
    return listing


def _sort_in(listing: Listing, path: Path) -> bool:
    if path.name in (READ_WRITE_LOCK, WRITER_PREFERENCE_LOCK, OWNER, MANIFEST, IDENTITY):
        return True
    if path.suffix in (TEMPORARY, BAD) and _is_ours(path.stem):
        (listing.temporary if path.suffix == TEMPORARY else listing.bad).append(path)
        return True
    if match := _VALUES.fullmatch(path.name):
        _sort_values(listing, ValueFile(path, match["prefix"]), match["member"])
    elif match := _SIDE.fullmatch(path.name):
        _sort_side(listing, path, match["member"])
    elif match := _MARKER.fullmatch(path.name):
        listing.members[match["member"]].marker = path
    return match is not None


def _sort_values(listing: Listing, file: ValueFile, owner: str) -> None:
    if archive := _ARCHIVE.fullmatch(owner):
        listing.archives[int(archive["generation"])].append(file)
    else:
        listing.members[owner].values.append(file)


def _sort_side(listing: Listing, path: Path, owner: str) -> None:
    if archive := _ARCHIVE.fullmatch(owner):
        listing.archive_sides[int(archive["generation"])].append(path)
    else:
        listing.members[owner].sides.append(path)


def _is_ours(name: str) -> bool:
    return name in (MANIFEST, IDENTITY) or any(
        pattern.fullmatch(name) for pattern in (_VALUES, _SIDE, _MARKER)
    )
