"""Wheels of what is installed here, packed anew: an image is built from them without an index."""

import io
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.tags import sys_tags
from packaging.utils import canonicalize_name

# The flags of a .pyc by hash that nobody checks, and an empty hash (PEP 552).
_UNCHECKED = b"\x01\0\0\0" + bytes(8)
_MADE_BY_PIP = {"INSTALLER", "RECORD", "REQUESTED", "direct_url.json"}


def needed_by(name: str, extras: frozenset[str]) -> list[Distribution]:
    """Return what `name` needs with its extras; it and what is built beside it are left out.

    Raises: PackageNotFoundError where one is not installed.
    """
    needed = set(_closure(name, extras, set())) - {canonicalize_name(name), "prefork-metrics"}
    return [distribution(one) for one in sorted(needed)]


def wheel(found: Distribution) -> tuple[str, bytes]:
    """Return file name and content: the installed files, but for what pip itself adds.

    Compiled modules come along, marked as not to be checked against their source, whose time of
    change is another one where the wheel is installed.
    """
    lines = (found.read_text("WHEEL") or "").splitlines()
    tags = {line.removeprefix("Tag: ") for line in lines if line.startswith("Tag: ")}
    tag = next(tag for tag in map(str, sys_tags()) if tag in tags)
    name = canonicalize_name(found.name).replace("-", "_")
    content = io.BytesIO()
    rows = []
    with zipfile.ZipFile(content, "w") as archive:
        for file in found.files or []:
            inside = not file.is_absolute() and ".." not in file.parts
            if inside and file.name not in _MADE_BY_PIP:
                data = Path(str(file.locate())).read_bytes()
                if file.suffix == ".pyc":
                    data = data[:4] + _UNCHECKED + data[16:]
                archive.writestr(str(file), data)
                rows.append(f'"{file}",,\n')
        information = next(row.split("/")[0][1:] for row in rows if ".dist-info/" in row)
        archive.writestr(f"{information}/RECORD", "".join([*rows, f"{information}/RECORD,,\n"]))
    return f"{name}-{found.version}-{tag}.whl", content.getvalue()


def _closure(name: str, extras: frozenset[str], seen: set[tuple[str, str]]) -> Iterator[str]:
    yield canonicalize_name(name)
    for text in distribution(name).requires or []:
        requirement = Requirement(text)
        wanted = any(
            requirement.marker is None or requirement.marker.evaluate({"extra": extra})
            for extra in (extras or {""})
        )
        key = (canonicalize_name(requirement.name), str(sorted(requirement.extras)))
        if wanted and key not in seen:
            seen.add(key)
            yield from _closure(requirement.name, frozenset(requirement.extras), seen)
