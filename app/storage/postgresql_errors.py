"""What an error of PostgreSQL means: by its SQLSTATE, or while connecting by libpq's words.

libpq hides the SQLSTATE of a refused connection, and the server says it in its own language. So
the English words are known here, and any others are handed on to the operator as they are.
"""

import re
from typing import NamedTuple

import psycopg2
from psycopg2 import errorcodes
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

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

_READ_ONLY = (
    "PostgreSQL takes no changes: it is a standby, or default_transaction_read_only is on. Let "
    "DATABASE_URL name the primary (with several hosts: target_session_attrs=read-write)."
)
_FULL = "PostgreSQL's disk is full. Make room on it, or enlarge it."
_DAMAGED = "PostgreSQL cannot read its own files. See the server's log, and its disk."
_NO_RIGHT = (
    "PostgreSQL refuses: {message}. VibeBox's user {user} must be able to create and change tables "
    "in schema public of database {database}: as a superuser run "
    "`GRANT USAGE, CREATE ON SCHEMA public TO {user}` in it, or make it the owner with "
    "`ALTER DATABASE {database} OWNER TO {user}`."
)
_NO_SCHEMA = (
    "Tables or columns of this release are not there: {message}. Run `vibebox migrate`; where that "
    "changes nothing, the database was changed by hand: restore it."
)
_TOO_MANY = (
    "PostgreSQL has no connection left: {message}. Raise its max_connections, or lower "
    "WEB_CONCURRENCY or VIBEBOX_THREADS."
)

# Those that mean something else than their class, or of whose class only some are an operator's.
_BY_STATE: dict[str, tuple[type[StorageError], str]] = {
    errorcodes.READ_ONLY_SQL_TRANSACTION: (StorageReadOnlyError, _READ_ONLY),
    errorcodes.DISK_FULL: (StorageFullError, _FULL),
    errorcodes.TOO_MANY_CONNECTIONS: (StorageBusyError, _TOO_MANY),
    errorcodes.LOCK_NOT_AVAILABLE: (StorageBusyError, ""),
    errorcodes.OBJECT_IN_USE: (StorageBusyError, ""),
    errorcodes.INSUFFICIENT_PRIVILEGE: (StorageRefusedError, _NO_RIGHT),
    errorcodes.INVALID_SCHEMA_NAME: (StorageRefusedError, _NO_RIGHT),
    errorcodes.UNDEFINED_TABLE: (SchemaRevisionError, _NO_SCHEMA),
    errorcodes.UNDEFINED_COLUMN: (SchemaRevisionError, _NO_SCHEMA),
    errorcodes.UNDEFINED_FILE: (StorageDamagedError, _DAMAGED),
    errorcodes.IO_ERROR: (StorageDamagedError, _DAMAGED),
    errorcodes.DATA_CORRUPTED: (StorageDamagedError, _DAMAGED),
    errorcodes.INDEX_CORRUPTED: (StorageDamagedError, _DAMAGED),
    errorcodes.QUERY_CANCELED: (StorageUnavailableError, ""),
}
_BY_CLASS: dict[str, tuple[type[StorageError], str]] = {
    errorcodes.CLASS_TRANSACTION_ROLLBACK: (StorageBusyError, ""),  # deadlock, serialization
    errorcodes.CLASS_INSUFFICIENT_RESOURCES: (StorageBusyError, ""),
    errorcodes.CLASS_OPERATOR_INTERVENTION: (StorageUnavailableError, ""),
    errorcodes.CLASS_CONNECTION_EXCEPTION: (StorageUnavailableError, ""),
    errorcodes.CLASS_INVALID_AUTHORIZATION_SPECIFICATION: (StorageRefusedError, ""),
    errorcodes.CLASS_INTERNAL_ERROR: (StorageUnavailableError, ""),
}


class _Refusal(NamedTuple):
    """What libpq says when a connection does not come about, and what that means."""

    words: str
    means: type[StorageError]
    next_step: str


_REFUSALS = tuple(
    _Refusal(*row)
    for row in (
        (
            "password authentication failed|no password supplied|authentication failed for user",
            StorageRefusedError,
            "PostgreSQL at {host} does not accept the password of user {user}. Set the right one "
            "in DATABASE_URL (escaped: @ is %40) or in PGPASSWORD.",
        ),
        (
            'role ".*" does not exist|is not permitted to log in',
            StorageRefusedError,
            "PostgreSQL at {host} has no user {user} that may log in. Create it "
            "(`CREATE ROLE {user} LOGIN PASSWORD …`), or name another one in DATABASE_URL.",
        ),
        (
            'database ".*" does not exist',
            StorageRefusedError,
            "PostgreSQL at {host} has no database {database}. Create it "
            "(`CREATE DATABASE {database} OWNER {user}`), or name another one in DATABASE_URL.",
        ),
        (
            "permission denied for database",
            StorageRefusedError,
            "User {user} may not connect to database {database}: as its owner run "
            "`GRANT CONNECT ON DATABASE {database} TO {user}`.",
        ),
        (
            "pg_hba.conf",
            StorageRefusedError,
            "PostgreSQL at {host} lets nobody in from this host as {user} to {database}: add a "
            "line to its pg_hba.conf and reload it.",
        ),
        (
            "SSL|certificate",
            StorageRefusedError,
            "No TLS connection to PostgreSQL at {host} came about: {message}. See sslmode and the "
            "certificates in DATABASE_URL.",
        ),
        (
            "invalid (connection option|dsn|integer value)|invalid [a-z_]+ value|"
            "unrecognized configuration parameter",
            StorageRefusedError,
            "DATABASE_URL has an option that PostgreSQL does not know: {message}.",
        ),
        (
            "too many (clients|connections)|connection slots are reserved",
            StorageBusyError,
            _TOO_MANY,
        ),
        ("Too many open files", StorageBusyError, descriptors.NEXT_STEP),
        (
            "could not translate host name",
            StorageUnavailableError,
            "There is no host {host}. Correct the name in DATABASE_URL, or the name service.",
        ),
        (
            "system is (starting up|shutting down|in recovery mode|not yet accepting)",
            StorageUnavailableError,
            "PostgreSQL at {host} is starting or ending ({message}); it is asked again.",
        ),
        (
            "Connection refused|No such file or directory|No route to host|"
            "Network is unreachable|imed out|before the deadline",
            StorageUnavailableError,
            "Nothing answers as PostgreSQL at {host} ({message}). Start it, or correct host and "
            "port in DATABASE_URL.",
        ),
    )
)
_CONNECTING = re.compile(r"^connection to server .*? failed: ")
_MISSING = "The database lacks what this release needs; the operator runs `vibebox migrate`."
_Meaning = tuple[type[StorageError] | None, str]


def meaning(error: Exception, url: URL, *, reading: bool, migrating: bool) -> StorageError | None:
    """Return what an error of the driver means; None for a mistake in our code.

    reading: in a transaction that we made read-only ourselves. migrating: what is missing there is
    a mistake in the migration.
    """
    driver_error = getattr(error, "orig", None) or error
    state = getattr(driver_error, "pgcode", None)
    ours = state == errorcodes.READ_ONLY_SQL_TRANSACTION and reading
    missing = state in (errorcodes.UNDEFINED_TABLE, errorcodes.UNDEFINED_COLUMN)
    if ours or (missing and migrating):
        return None
    words = _words(driver_error)
    means, next_step = _of_state(state) if state else _of_connection(words)
    if means is None and _is_operational(error, driver_error):
        means = StorageUnavailableError
    if means is None:
        return None
    return means(_MISSING if missing else None, for_operator=_filled(next_step, words, url))


def _of_state(state: str) -> _Meaning:
    return _BY_STATE.get(state) or _BY_CLASS.get(state[:2]) or (None, "")


def _of_connection(words: str) -> _Meaning:
    for refusal in _REFUSALS:
        if re.search(refusal.words, words):
            return refusal.means, refusal.next_step
    return None, ""


def _is_operational(error: Exception, driver_error: Exception) -> bool:
    """Whether the driver blames the server or the connection, which may have ended with it."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(driver_error, psycopg2.OperationalError | psycopg2.InterfaceError)


def _words(error: Exception) -> str:
    """Return the driver's sentence on one line, without where it was connecting to."""
    diagnosis = getattr(error, "diag", None)
    text = getattr(diagnosis, "message_primary", None) or str(error)
    return _CONNECTING.sub("", " ".join(text.split())).rstrip(".")


def _filled(next_step: str, words: str, url: URL) -> str | None:
    if not next_step:
        return f"PostgreSQL: {words}." if words else None
    host = str(url.host or url.query.get("host") or "the local socket")
    return next_step.format(
        host=f"{host}:{url.port}" if url.port else host,
        user=f'"{url.username}"' if url.username else "of the operating system's name",
        database=f'"{url.database}"' if url.database else "of the user's name",
        message=words,
    )
