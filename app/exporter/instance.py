"""The installation's name among those of the service: one stream of metrics has one.

It is that of the directory in which the start of the totals is kept: it stays through restarts, and
is another one where the totals are others.
"""

import re
from pathlib import Path
from uuid import uuid4

from app.exporter.start_time import replace

_FILE = "instance-id"
_ID = re.compile(r"[0-9a-f-]{36}")


def instance_id(directory: Path) -> str:
    """Return the name, made where there is none. Raises: OSError where it cannot be kept."""
    path = directory / _FILE
    try:
        found = path.read_text("ascii", "replace").strip()
    except FileNotFoundError:
        found = ""
    if _ID.fullmatch(found):
        return found
    made = str(uuid4())
    replace(path, made)
    return made
