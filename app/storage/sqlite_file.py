"""The file that is the database: whether it is still there, and whether it and its log can grow.

SQLite does not look: it goes on writing to a file that was deleted or replaced while it was open,
and as long as its log has room left from before it does not notice a full disk.
"""

import errno
import os
from pathlib import Path

from app.core.errors import StorageRefusedError
from app.storage.sqlite_errors import of_file, unopened
from prefork_metrics.directory.room import allocate

ROOM = 1 << 18
"""Bytes that the disk must have for another while of changes."""


def refuse_absent(path: Path) -> None:
    """Return where opening the file makes no new one, as SQLite would do.

    Raises: StorageRefusedError.
    """
    try:
        exists = path.exists()
    except OSError as error:
        raise StorageRefusedError(
            for_operator=f"{path} cannot be looked at ({error.strerror}). Run this as the user of "
            "the service; where that is so, give the file and its directory to it."
        ) from error
    if not exists:
        raise StorageRefusedError(
            for_operator=f"There is no database {path}. Name the service's own in DATABASE_URL (a "
            "relative path counts from the working directory), or make it with `vibebox migrate`."
        )


class DatabaseFile:
    """The database's file, as this process opened it first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity: tuple[int, int] | None = None

    def opened(self) -> None:
        """Note which file was opened. The first one counts: connections to it live on."""
        if self._identity is None:
            self._identity = self._now()

    def verify(self) -> None:
        """Raise sqlite3.OperationalError where changes would be lost, or have no room."""
        if self._identity is not None and self._now() != self._identity:
            replaced = OSError(
                errno.ENOENT,
                "it was replaced or deleted while it was in use; restart VibeBox",
            )
            raise unopened(replaced)
        try:
            self._allocate()
        except OSError as error:
            raise of_file(error) from error

    def _now(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _allocate(self) -> None:
        """Raises: OSError."""
        if not os.access(self._path, os.W_OK, effective_ids=True):
            raise PermissionError(errno.EACCES, "the file cannot be written")
        allocate(self._path.parent, ROOM)
