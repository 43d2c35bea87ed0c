"""What a request's path names, for the lines and spans of that request."""

import re

_ENVIRONMENT = "<environment_id>"
_ID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


def environment_of(route: str, path: str) -> str | None:
    """Return the id of the environment that a path names; None where its route has none.

    What does not look like one of our ids is somebody's text, and left out.
    """
    parts = route.split("/")
    if _ENVIRONMENT not in parts:
        return None
    place = parts.index(_ENVIRONMENT)
    found = path.split("/")[place : place + 1]
    return found[0] if found and _ID.fullmatch(found[0]) else None
