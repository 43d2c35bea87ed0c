"""SQLite: the embedded default, safe for several processes.

The driver's own transaction handling starts a transaction at the first write, after the reads that
the write depends on, and so loses updates. It is switched off: we begin every transaction, a
writing one by BEGIN IMMEDIATE, which takes the write lock before the first read.
"""

import os
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import PoolProxiedConnection

from app.core import deadline
from app.core.errors import SchemaRevisionError, SettingsError, StorageError
from app.storage.clock import SQLITE_FUNCTION, sqlite_moment
from app.storage.sqlite_errors import meaning, unopened
from app.storage.sqlite_file import DatabaseFile, refuse_absent

# How long a statement waits for another process's write lock. Longer hides a stuck writer from its
# callers; shorter turns a burst of writes into errors.
BUSY_SECONDS = 5.0
# A migration may wait for another one, which may rewrite whole tables.
MIGRATION_BUSY_SECONDS = 60.0

_READING = "vibebox_reading"

_PROVE_WRITABLE = """
INSERT INTO write_probes (slot, written_at) VALUES (?, CURRENT_TIMESTAMP)
ON CONFLICT (slot) DO UPDATE SET written_at = excluded.written_at
"""


class SqliteDialect(SQLiteDialect_pysqlite):
    """SQLAlchemy's dialect, with transactions begun by us.

    BEGIN goes straight to the driver, where statement events do not see it; raised from here, its
    errors still reach `handle_error` like those of any statement.
    """

    supports_statement_cache = True

    def do_begin(self, dbapi_connection: PoolProxiedConnection) -> None:
        """Begin a transaction of the kind that `_note_kind` has noted."""
        driver = cast(sqlite3.Connection, dbapi_connection.driver_connection)
        info = dbapi_connection.info
        reading = info[_READING]
        if info.get("query_only", False) != reading:
            driver.execute(f"PRAGMA query_only = {reading:d}")
            info["query_only"] = reading
        driver.execute("BEGIN" if reading else "BEGIN IMMEDIATE")


# Through the registry, because an engine finds its dialect class by the name in its URL only.
registry.register("sqlite.vibebox", __name__, SqliteDialect.__name__)


def _note_kind(connection: Connection) -> None:
    """Hand the kind of the transaction down to the dialect, which sees no execution options."""
    connection.connection.info[_READING] = bool(connection.get_execution_options().get(_READING))


class SqliteBackend:
    """A database file."""

    driver_error: type[Exception] = sqlite3.Error
    reading_options: Mapping[str, Any] = {_READING: True}
    seconds_until = f"(julianday({{}}) - julianday({SQLITE_FUNCTION}(0))) * 86400"

    def __init__(
        self,
        url: URL,
        *,
        busy_seconds: float = BUSY_SECONDS,
        foreign_keys: bool = True,
        must_exist: bool = False,
    ) -> None:
        name = url.database
        if not name or name == ":memory:" or name.startswith("file:") or url.query:
            raise SettingsError(
                ["The processes of VibeBox share the database: name a plain file in the URL."]
            )
        # Absolute now: a server may change its working directory after the first connection.
        self.path = Path(os.path.abspath(name))
        self.url = url.set(drivername="sqlite", database=str(self.path))
        self._file = DatabaseFile(self.path)
        self._busy_seconds = busy_seconds
        self._foreign_keys = foreign_keys
        self._must_exist = must_exist

    def connect(self) -> DBAPIConnection:
        """Open the file; makes its directory first, private to us as it holds password hashes.

        The thread's deadline counts here only: in WAL mode an open connection reads whatever others
        do, so that a probe cannot wait any later.
        """
        if self._must_exist:
            refuse_absent(self.path)
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise unopened(error) from error
        connection = sqlite3.connect(
            self.path,
            timeout=deadline.remaining(self._busy_seconds),
            isolation_level=None,
            # A pooled connection serves one thread at a time, but not always the same one.
            check_same_thread=False,
        )
        try:
            self._set_up(connection)
        except BaseException:
            connection.close()
            raise
        self._file.opened()
        return cast(DBAPIConnection, connection)

    def _set_up(self, connection: sqlite3.Connection) -> None:
        """Set what SQLite keeps for each connection."""
        _enter_wal(connection, deadline.remaining(self._busy_seconds))
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA foreign_keys = {self._foreign_keys:d}")
        connection.execute(f"PRAGMA busy_timeout = {self._busy_seconds * 1000:.0f}")
        connection.create_function(SQLITE_FUNCTION, 1, sqlite_moment)

    def engine(self, **pool_arguments: Any) -> Engine:
        """Make an engine whose pool opens its connections by `connect`."""
        url = self.url.set(drivername="sqlite+vibebox")
        # An error's text goes into the log, and parameters are what users have told us.
        engine = create_engine(url, creator=self.connect, hide_parameters=True, **pool_arguments)
        event.listen(engine, "begin", _note_kind)
        return engine

    def meaning(self, error: Exception, *, reading: bool) -> StorageError | None:
        """See `sqlite_errors.meaning`."""
        # Only a migration goes without foreign keys.
        migrating = not self._foreign_keys
        return meaning(error, self.path, reading=reading, migrating=migrating)

    def prove_writable(self, connection: DBAPIConnection, slot: int) -> None:
        """Write to the row, and ask the disk for room, which the log of changes may still have."""
        self._file.verify()
        driver = cast(sqlite3.Connection, connection)
        (query_only,) = driver.execute("PRAGMA query_only").fetchone()
        driver.execute("PRAGMA query_only = 0")
        try:
            driver.execute("BEGIN IMMEDIATE")
            driver.execute(_PROVE_WRITABLE, (slot,))
            driver.execute("COMMIT")
        finally:
            if driver.in_transaction:
                driver.execute("ROLLBACK")
            driver.execute(f"PRAGMA query_only = {query_only}")

    def is_missing_table(self, error: Exception) -> bool:
        """SQLite has no code of its own for this."""
        return str(error).startswith("no such table")

    def for_migration(self) -> "SqliteBackend":
        """Return the same file, without foreign keys.

        SQLite alters a table by copying and dropping it, and dropping it would delete what refers
        to it. The switch does nothing inside a transaction: it belongs to the connection.
        """
        return SqliteBackend(self.url, busy_seconds=MIGRATION_BUSY_SECONDS, foreign_keys=False)

    def before_migration(self, connection: Connection) -> None:
        """Nothing to do: BEGIN IMMEDIATE keeps other writers out."""

    def after_migration(self, connection: Connection) -> None:
        """Look for rows that the migration left without what they refer to."""
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            tables = ", ".join(sorted({row[0] for row in broken}))
            raise SchemaRevisionError(
                f"The migration was undone: rows of these tables refer to rows that do not exist: "
                f"{tables}. Repair them and run `vibebox migrate` again."
            )


def _enter_wal(connection: sqlite3.Connection, seconds: float) -> None:
    """Make sure that the file is in WAL mode, which it keeps for ever.

    SQLite does not wait for its lock here when several processes open a new file at once, so we do.
    """
    ends_at = time.monotonic() + seconds
    while connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > ends_at:
                raise
            time.sleep(0.01)
