"""What the two databases have in common, and the choice between them.

`Database` knows nothing of drivers. What differs between SQLite and PostgreSQL is behind `Backend`;
the PostgreSQL driver is imported only when a URL asks for it.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from sqlalchemy import URL, Connection, Engine, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError

from app.core.errors import SettingsError, StorageError


class Backend(Protocol):
    """One kind of database, with its limits.

    Attributes: seconds_until (SQL, with a place for a column: how far its moment is ahead).
    """

    url: URL
    driver_error: type[Exception]
    reading_options: Mapping[str, Any]
    seconds_until: str

    def connect(self) -> DBAPIConnection:
        """Open a driver connection, within the connect time-out."""

    def engine(self, **pool_arguments: Any) -> Engine:
        """Make an engine whose pool opens its connections by `connect`."""

    def meaning(self, error: Exception, *, reading: bool) -> StorageError | None:
        """Return as ours what an operator can end; None for a mistake in our code."""

    def prove_writable(self, connection: DBAPIConnection, slot: int) -> None:
        """Write to the row `slot` of the probes, as any change is written; harmless and small.

        `connection` is of the pool, in no transaction, and is left so. Raises the driver's errors.
        """

    def is_missing_table(self, error: Exception) -> bool:
        """Tell whether a statement failed because its table does not exist."""

    def for_migration(self) -> "Backend":
        """Return the same database with limits that fit a long migration."""

    def before_migration(self, connection: Connection) -> None:
        """Keep other migrations out until the transaction ends."""

    def after_migration(self, connection: Connection) -> None:
        """Verify what the database could not enforce during the migration."""


def backend_for(
    url: str, *, connect_timeout: float, statement_timeout: float, must_exist: bool = False
) -> Backend:
    """Choose the backend of a URL; raises SettingsError when there is none."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The cause is dropped on purpose: a URL can hold a password.
        raise SettingsError([f"The database URL cannot be read; {_FORMS}"]) from None
    if parsed.drivername in {"sqlite", "sqlite+pysqlite"}:
        from app.storage.sqlite import SqliteBackend

        return SqliteBackend(parsed, must_exist=must_exist)
    if parsed.drivername in {"postgres", "postgresql", "postgresql+psycopg2"}:
        from app.storage.postgresql import PostgresqlBackend

        return PostgresqlBackend(
            parsed, connect_timeout=connect_timeout, statement_timeout=statement_timeout
        )
    raise SettingsError([f"There is no database backend for {parsed.drivername}; {_FORMS}"])


_FORMS = "write sqlite:////path/to/file.db or postgresql://user:password@host/name."
