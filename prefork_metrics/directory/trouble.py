"""What is wrong with the directory, found out by taking up room in it and giving that back."""

import errno
from enum import StrEnum
from pathlib import Path

from prefork_metrics.directory.room import allocate
from prefork_metrics.errors import MetricsDirectoryBusyError

ROOM = 1 << 19
"""Bytes that one more process needs for its files."""


class Trouble(StrEnum):
    """Why processes cannot share what they count; MISSING: deleted, or not reached."""

    FULL = "full"
    READ_ONLY = "read_only"
    DENIED = "denied"
    MISSING = "missing"
    BUSY = "busy"
    OTHER = "other"


_BY_NUMBER = {
    errno.ENOSPC: Trouble.FULL,
    errno.EDQUOT: Trouble.FULL,
    errno.EROFS: Trouble.READ_ONLY,
    errno.EACCES: Trouble.DENIED,
    errno.EPERM: Trouble.DENIED,
    errno.ENOENT: Trouble.MISSING,
    errno.ENOTDIR: Trouble.MISSING,
}


def trouble_with(directory: Path) -> tuple[Trouble, OSError] | None:
    """Return what keeps processes from joining the directory, and the system's word for it."""
    try:
        allocate(directory, ROOM)
    except OSError as error:
        return meaning(error), error
    return None


def meaning(error: Exception) -> Trouble:
    """Return what an error of reading or writing the directory says of it."""
    if isinstance(error, MetricsDirectoryBusyError):
        return Trouble.BUSY
    number = error.errno if isinstance(error, OSError) else None
    return _BY_NUMBER.get(number or 0, Trouble.OTHER)
