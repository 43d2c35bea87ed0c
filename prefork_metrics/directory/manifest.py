"""The commit record: which generation of the archive counts, and which members it holds.

Renaming it into place is the one instant at which an absorption happens. Files of the members that
it names are ignored from then on, and so is every other generation. A member's name stays until
none of its files is left, and member names never repeat: so no file can come back and count twice.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from prefork_metrics.directory import disk, layout


@dataclass(frozen=True)
class Manifest:
    """What the archive holds. `is_bad`: it was unreadable, and this is the best guess."""

    generation: int
    absorbed: frozenset[str] = frozenset()
    is_bad: bool = False


def read(directory: Path, listing: layout.Listing) -> Manifest:
    """Return the manifest. Raises: OSError.

    No kill can spoil it; where something else did, the newest archive is taken for the right one.
    """
    try:
        content = disk.read(directory / layout.MANIFEST)
    except FileNotFoundError:
        return Manifest(0)
    try:
        fields = json.loads(content)
        return Manifest(int(fields["generation"]), frozenset(map(str, fields["absorbed"])))
    except (ValueError, TypeError, KeyError):
        return Manifest(max(listing.archives, default=0), is_bad=True)


def commit(directory: Path, manifest: Manifest) -> None:
    """Put a manifest into place. Raises: OSError; then the old one holds."""
    fields = {"generation": manifest.generation, "absorbed": sorted(manifest.absorbed)}
    disk.write(directory / layout.MANIFEST, json.dumps(fields).encode())
