"""What an error of SQLite means, by its primary result code; the driver's classes say less."""

import errno
import sqlite3
from pathlib import Path

from app.core import descriptors
from app.core.errors import (
    SchemaRevisionError,
    StorageBusyError,
    StorageDamagedError,
    StorageError,
    StorageFullError,
    StorageReadOnlyError,
    StorageRefusedError,
    StorageUnavailableError,
)

_READ_ONLY = "{path} cannot be written: give VibeBox's user the right to write file and directory."
_FULL = "The disk of {path} is full. Make room on it."
_DAMAGED = "{path} is no intact SQLite database ({message}). Restore it from a copy."
_BUSY = "Another process has held the write lock of {path} for too long: see which one."
_UNOPENED = (
    "{path} cannot be opened ({message}): name a file in DATABASE_URL that VibeBox's user may read "
    "and write, in a directory that it may write too."
)
_DISK = "The disk of {path} fails ({message}): see the system's log."
_MISSING = (
    "Tables or columns of this release are not in {path}: {message}. Run `vibebox migrate`; where "
    "that changes nothing, the database was changed by hand: restore it."
)

_MEANINGS: dict[int, tuple[type[StorageError], str]] = {
    sqlite3.SQLITE_BUSY: (StorageBusyError, _BUSY),
    sqlite3.SQLITE_LOCKED: (StorageBusyError, _BUSY),
    sqlite3.SQLITE_NOMEM: (StorageBusyError, ""),
    sqlite3.SQLITE_PROTOCOL: (StorageBusyError, _BUSY),
    sqlite3.SQLITE_IOERR: (StorageDamagedError, _DISK),
    sqlite3.SQLITE_FULL: (StorageFullError, _FULL),
    sqlite3.SQLITE_CANTOPEN: (StorageRefusedError, _UNOPENED),
    sqlite3.SQLITE_PERM: (StorageRefusedError, _UNOPENED),
    sqlite3.SQLITE_AUTH: (StorageRefusedError, _UNOPENED),
    sqlite3.SQLITE_CORRUPT: (StorageDamagedError, _DAMAGED),
    sqlite3.SQLITE_NOTADB: (StorageDamagedError, _DAMAGED),
    sqlite3.SQLITE_READONLY: (StorageReadOnlyError, _READ_ONLY),
    sqlite3.SQLITE_INTERRUPT: (StorageUnavailableError, ""),
}
_CODES = {
    errno.EROFS: sqlite3.SQLITE_READONLY,
    errno.EACCES: sqlite3.SQLITE_READONLY,
    errno.EPERM: sqlite3.SQLITE_READONLY,
    errno.ENOSPC: sqlite3.SQLITE_FULL,
    errno.EDQUOT: sqlite3.SQLITE_FULL,
    errno.ENOENT: sqlite3.SQLITE_CANTOPEN,
    errno.ENOTDIR: sqlite3.SQLITE_CANTOPEN,
}
_NOT_THERE = ("no such table", "no such column")


def meaning(error: Exception, path: Path, *, reading: bool, migrating: bool) -> StorageError | None:
    """Return what an error of the driver means; None for a mistake in our code.

    reading: in a transaction that we made read-only ourselves. migrating: what is missing there is
    a mistake in the migration.
    """
    driver_error = getattr(error, "orig", None) or error
    code = getattr(driver_error, "sqlite_errorcode", 0) & 0xFF
    words = str(driver_error)
    if code == sqlite3.SQLITE_READONLY and reading:
        return None
    if words.startswith(_NOT_THERE) and not migrating:
        return SchemaRevisionError(
            "The database lacks what this release needs; the operator runs `vibebox migrate`.",
            for_operator=_MISSING.format(path=path, message=words),
        )
    if code == sqlite3.SQLITE_CANTOPEN and descriptors.are_used_up():
        return StorageBusyError(for_operator=descriptors.NEXT_STEP)
    if code not in _MEANINGS:
        return None
    means, next_step = _MEANINGS[code]
    return means(for_operator=next_step.format(path=path, message=words) or None)


def unopened(error: OSError) -> sqlite3.OperationalError:
    """Return what SQLite says where it cannot open a file."""
    return _made(sqlite3.SQLITE_CANTOPEN, error.strerror or str(error))


def of_file(error: OSError) -> sqlite3.OperationalError:
    """Return what SQLite would say of an error of the file system that we met in its place."""
    code = _CODES.get(error.errno or 0, sqlite3.SQLITE_IOERR)
    return _made(code, error.strerror or str(error))


def _made(code: int, words: str) -> sqlite3.OperationalError:
    made = sqlite3.OperationalError(words)
    made.sqlite_errorcode = code
    return made
