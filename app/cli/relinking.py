"""Links of documents that are written elsewhere than they lie in the sources.

What a link leads to may have moved beside the document, or not have come along: a link to that is
put as the path in the sources.
"""

import posixpath
import re
from collections.abc import Callable, Collection
from pathlib import PurePath

_LINK = re.compile(r"\[([^\]]*)\]\((?!\w+:|#)([^)\s#]+)(#[^)]*)?\)")


def relinked(
    text: str,
    file: PurePath,
    ships: Collection[PurePath],
    place: Callable[[PurePath], PurePath],
) -> str:
    """Return a Markdown text whose links are right where it is written.

    Args:
        file: Where it lies in the sources, from their top.
        ships: All that is written, likewise.
        place: Says where something is written.
    """
    # Of directories those that have something in them.
    written = {*ships, *(parent for one in ships for parent in one.parents)}
    here = str(place(file).parent)

    def moved(link: re.Match[str]) -> str:
        label, path, part = link.groups()
        target = PurePath(posixpath.normpath(posixpath.join(str(file.parent), path)))
        if target in written:
            there = posixpath.relpath(str(place(target)), here)
            return f"[{label}]({there}{part or ''})"
        return f"`{target}`" if str(target).endswith(label.strip("/`")) else f"{label} (`{target}`)"

    return _LINK.sub(moved, text)
