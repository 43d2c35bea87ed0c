"""What a .vsix says of itself: a zip archive with a manifest in it. No I/O."""

import json
import re
from typing import NamedTuple

from app.core.errors import InvalidInputError
from app.domain.extensions import archive
from app.domain.extensions.archive import ArchiveError

PART = r"[A-Za-z0-9][A-Za-z0-9-]{0,98}"
VERSION = r"[0-9]{1,10}\.[0-9]{1,10}\.[0-9]{1,10}(?:[-+][A-Za-z0-9.+-]{1,31})?"
"""At most 64 characters, as many as are kept of it."""
REFERENCE = rf"^{PART}\.{PART}(@{VERSION})?$"
"""How an extension is named: publisher.name, and a version where it matters."""

_MANIFEST = b"extension/package.json"
_LONGEST_MANIFEST = 1024 * 1024
# An archive that grows by more than this is made to fill disks.
_GROWTH = 200


class Manifest(NamedTuple):
    """Name (publisher.name, in lower case) and version of an extension."""

    name: str
    version: str


def split(reference: str) -> tuple[str, str | None]:
    """Return name and version, None where it names none, of what matches `REFERENCE`."""
    name, _, version = reference.partition("@")
    return name.lower(), version or None


def read(content: bytes) -> Manifest:
    """Return what the package says it is. Raises: InvalidInputError for what is no .vsix."""
    try:
        text = archive.read(content, _entry_of_manifest(content), _LONGEST_MANIFEST)
        found = dict(json.loads(text))
        name, version = f"{found['publisher']}.{found['name']}", str(found["version"])
    except ArchiveError as error:
        raise _invalid(f"is no .vsix: it {error}.") from None
    except (KeyError, TypeError, ValueError, RecursionError):
        raise _invalid(
            f"is no .vsix: no {_MANIFEST.decode()} with publisher, name and version."
        ) from None
    if not re.fullmatch(REFERENCE[1:-1], f"{name}@{version}"):
        raise _invalid("names its publisher, name or version in a way that VS Code does not.")
    return Manifest(name.lower(), version)


def _entry_of_manifest(content: bytes) -> archive.Entry:
    """Return the one manifest, having looked at everything. Raises: ArchiveError, KeyError."""
    found: list[archive.Entry] = []
    grown = 0
    for entry in archive.entries(content):
        grown += entry.size
        if entry.name == _MANIFEST:
            found.append(entry)
        elif b".." in entry.name.split(b"/") or entry.name.startswith(b"/"):
            raise ArchiveError("holds a file that belongs outside of it")
    if grown > _GROWTH * max(len(content), 1):
        raise ArchiveError("grows too much when it is unpacked")
    if len(found) > 1:
        raise ArchiveError("has more than one manifest")
    if not found:
        raise KeyError(_MANIFEST)
    return found[0]


def _invalid(message: str) -> InvalidInputError:
    return InvalidInputError([{"field": "body", "message": f"The package {message}"}])
