"""What a member tells of itself beside its values: when it published last, and what is hidden.

A file of two doubles in memory, so that telling costs nothing and goes on where the disk does not
(full, read-only). A member that finds no room for it says so by its marker (see `membership`),
which takes none; one that has neither is of a release that had no heartbeats.

Times are of the kernel's monotonic clock, which all processes of a host share and nobody sets.
"""

import time
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from struct import Struct

from prefork_metrics.directory import disk, layout
from prefork_metrics.directory.layout import MemberFiles
from prefork_metrics.directory.membership import is_hidden

KIND = "heartbeat"
SILENT_SECONDS = 20.0
"""After so long without a word a member's readings are none any more. Longer: what a frozen process
last said is shown for longer. Shorter: a machine that is short of CPU hides its processes."""

_NUMBERS = Struct("=dd")


class State(StrEnum):
    """How much of a living member a scrape can show."""

    SHOWN = "shown"
    HIDDEN = "hidden"
    SILENT = "silent"


class Heartbeat:
    """The heartbeat of this process, as the member of that name."""

    def __init__(self, directory: Path, member: str) -> None:
        """Make the file. Raises: OSError."""
        self._path = layout.side_path(directory, KIND, member)
        self._bytes = disk.mapped(self._path, _NUMBERS.size)

    @property
    def stands(self) -> bool:
        """Whether the file is still where others look for it; where that cannot be told, it is."""
        try:
            return self._path.exists()
        except OSError:
            return True

    def beat(self, hidden: int) -> None:
        """Tell that the process publishes, and how many of its values no scrape can see."""
        self._bytes[: _NUMBERS.size] = _NUMBERS.pack(time.monotonic(), hidden)


def state_of(member_files: MemberFiles) -> State:
    """Return the state of a member that lives."""
    content = _content(member_files.sides)
    if len(content) < _NUMBERS.size:
        return State.HIDDEN if is_hidden(member_files.marker) else State.SHOWN
    beat_at, hidden = _NUMBERS.unpack_from(content)
    # 0: it has not begun to publish, or never does.
    if beat_at and time.monotonic() - beat_at > SILENT_SECONDS:
        return State.SILENT
    return State.HIDDEN if hidden else State.SHOWN


def _content(sides: list[Path]) -> bytes:
    prefix = f"{KIND}_"
    for path in sides:
        if path.name.startswith(prefix):
            with suppress(OSError):
                return disk.read(path)
    return b""
