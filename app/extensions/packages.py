"""What a .vsix says of itself: a zip archive with a manifest in it. No I/O."""

import io
import json
import re
import zipfile
from typing import Any, NamedTuple

from app.errors import InvalidInputError

PART = r"[A-Za-z0-9][A-Za-z0-9-]{0,98}"
VERSION = r"[0-9]{1,10}\.[0-9]{1,10}\.[0-9]{1,10}(?:[-+][A-Za-z0-9.+-]{1,31})?"
"""At most 64 characters, as many as are kept of it."""
REFERENCE = rf"^{PART}\.{PART}(@{VERSION})?$"
"""How an extension is named: publisher.name, and a version where it matters."""

_MANIFEST = "extension/package.json"
_LONGEST_MANIFEST = 1024 * 1024
# An archive that grows by more than this is made to fill disks.
_GROWTH = 200
_UNREADABLE = (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError)


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
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found = _manifest(archive, len(content))
        name, version = f"{found['publisher']}.{found['name']}", str(found["version"])
    except (*_UNREADABLE, zipfile.LargeZipFile):
        raise _invalid("is no .vsix: no zip archive that can be read.") from None
    except (KeyError, TypeError):
        raise _invalid(f"is no .vsix: no {_MANIFEST} with publisher, name and version.") from None
    if not re.fullmatch(REFERENCE[1:-1], f"{name}@{version}"):
        raise _invalid("names its publisher, name or version in a way that VS Code does not.")
    return Manifest(name.lower(), version)


def _manifest(archive: zipfile.ZipFile, size: int) -> dict[str, Any]:
    members = archive.infolist()
    if sum(member.file_size for member in members) > _GROWTH * max(size, 1):
        raise _invalid("grows too much when it is unpacked.")
    with archive.open(_MANIFEST) as manifest:
        text = manifest.read(_LONGEST_MANIFEST + 1)
    if len(text) > _LONGEST_MANIFEST:
        raise _invalid("has a manifest of more than 1 MiB.")
    found = json.loads(text)
    return dict(found)


def _invalid(message: str) -> InvalidInputError:
    return InvalidInputError([{"field": "body", "message": f"The package {message}"}])
