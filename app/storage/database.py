"""The database as the rest of VibeBox sees it: transactions, a probe, and errors of our own.

Third-party errors are translated here and nowhere else, by what they mean (see the backends). What
an operator can end becomes a `StorageError`; a broken constraint (IntegrityError) is the calling
service's business, and everything else is a bug that must surface.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import NullPool

from app.core import deadline
from app.core.errors import StorageBusyError
from app.storage import revisions
from app.storage.backend import Backend, backend_for
from app.storage.pool import Pool, no_wait
from app.storage.revisions import SchemaState
from app.storage.writing import WriteTrial

# Of the time that a probe has; the rest is for reading the revision.
_WRITING_SHARE = 0.5
_STATE = (
    f"SELECT its.version_num, served.version_num FROM {revisions.REVISION_TABLE} AS its, "
    f"{revisions.OLDEST_SERVED_TABLE} AS served"
)
# Of a schema that serves one revision only, its own.
_BASELINE_STATE = f"SELECT version_num, version_num FROM {revisions.OLDEST_SERVED_TABLE}"
_LEASE = "SELECT {} FROM leases WHERE name = 'agent'"


class Database:
    """The one facade of the storage.

    Make it after fork: connections cannot be shared by processes. A method added here must let no
    driver error out; wrap its body in `_translating`.
    """

    def __init__(
        self,
        url: str,
        *,
        connect_timeout: float = 2,
        statement_timeout: float = 30,
        pool_size: int = 5,
        max_overflow: int = 5,
        pool_timeout: float = 10,
        must_exist: bool = False,
    ) -> None:
        """Describe the database; nothing is opened before the first use.

        Args:
            url: `sqlite:////path/to/file.db` or `postgresql://user:password@host/name`.
            connect_timeout: Seconds to open a connection (PostgreSQL).
            statement_timeout: Seconds that a statement may run (PostgreSQL).
            pool_size: Connections kept open in this process.
            max_overflow: Connections opened beyond that under load, and closed after use.
            pool_timeout: Seconds that a request waits for a connection when all are in use.
            must_exist: No file is made where there is none (SQLite).

        Raises:
            SettingsError: The URL names no database that we can use.
        """
        self._backend = backend_for(
            url,
            connect_timeout=connect_timeout,
            statement_timeout=statement_timeout,
            must_exist=must_exist,
        )
        self.engine: Engine = self._backend.engine(
            poolclass=Pool,
            pool_size=pool_size,
            max_overflow=max_overflow,
            pool_timeout=pool_timeout,
            # A file does not go away; a server does.
            pool_pre_ping=self._backend.url.drivername != "sqlite",
        )
        # What a service read stays readable after its transaction: hence no expiry on commit.
        self._write_trial = WriteTrial(self._prove_writable)
        self._writer = sessionmaker(self.engine, expire_on_commit=False)
        self._reader = sessionmaker(
            self.engine.execution_options(**self._backend.reading_options), expire_on_commit=False
        )

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a read-only transaction; a write in it is refused by the database.

        Raises:
            StorageUnavailableError: The database or a free connection was not to be had.
        """
        with self._translating(reading=True), self._reader.begin() as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a transaction that is committed at the end, or rolled back if the body raises.

        On SQLite it holds the one write lock from its first statement on: keep it short.

        Raises:
            StorageUnavailableError: As for `reading`. When it is the commit that got no answer, the
                change may have been made all the same.
            sqlalchemy.exc.IntegrityError: A constraint does not allow the change.
        """
        with self._translating(reading=False), self._writer.begin() as session:
            yield session

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """Open a transaction for a migration: alone, without time limits, outside the pool.

        Raises:
            StorageUnavailableError: As for `writing`, or another migration did not end in time.
        """
        backend = self._backend.for_migration()
        engine = backend.engine(poolclass=NullPool)
        with self._translating(reading=False, backend=backend), engine.begin() as connection:
            backend.before_migration(connection)
            yield connection
            backend.after_migration(connection)

    def probe(self, deadline: float, writing: float = 0.0) -> SchemaState:
        """Verify within `deadline` seconds: it answers, its schema serves us, it takes changes.

        writing: seconds for which a change that was taken proves the last.

        Returns: the state of the schema.
        Raises:
            StorageUnavailableError: It does not answer in time, or one of its subclasses: what it
                does not do is known.
            SchemaRevisionError: It has a revision that does not serve this release, or none.
        """
        state = self.schema_state(deadline)
        revisions.verify(state)
        self._write_trial.verify(_WRITING_SHARE * deadline, writing)
        return state

    def schema_state(self, seconds: float) -> SchemaState:
        """Read within `seconds` which revision the schema has, and which it serves.

        It goes past SQLAlchemy's statement events, so that probes are not counted as work.

        Raises:
            StorageUnavailableError: The database does not answer in time.
        """
        row = self._first_row(seconds, _STATE, _BASELINE_STATE)
        return SchemaState(str(row[0]), str(row[1])) if row else SchemaState(None, None)

    def agent_lease(self, seconds: float) -> float | None:
        """Read, as `schema_state` does, how long the lease of the agent goes on; None before any.

        In seconds, by the clock of the database, whatever this process believes the time is.

        Raises:
            StorageUnavailableError: The database does not answer in time.
        """
        left = self._backend.seconds_until.format("expires_at")
        row = self._first_row(seconds, _LEASE.format(left))
        return None if row is None else float(row[0])

    def _first_row(self, seconds: float, *statements: str) -> Any:
        """Return the first row of the first query that has one, past SQLAlchemy; None without.

        A table that is not there has no rows.
        """
        with (
            deadline.within(seconds),
            self._translating(reading=True),
            self._spare_connection() as connection,
            closing(connection.cursor()) as cursor,
        ):
            for statement in statements:
                try:
                    cursor.execute(statement)
                    row = cursor.fetchone()
                except self._backend.driver_error as error:
                    if not self._backend.is_missing_table(error):
                        raise
                    connection.rollback()
                    continue
                if row is not None:
                    return row
            return None

    def _prove_writable(self, slot: int) -> None:
        """Write to a row of the probes. Raises: StorageUnavailableError."""
        with (
            self._translating(reading=False),
            self._spare_connection() as connection,
        ):
            self._backend.prove_writable(connection, slot)

    def describe(self) -> str:
        """Return the URL without its secrets, for logs."""
        url = self._backend.url
        hidden = {key: "hidden" if "pass" in key else value for key, value in url.query.items()}
        return url.set(query=hidden).render_as_string(hide_password=True)

    def dispose(self) -> None:
        """Close the idle connections; the next use opens new ones."""
        self._write_trial.close()
        self._write_trial = WriteTrial(self._prove_writable)
        self.engine.dispose()

    @contextmanager
    def _spare_connection(self) -> Iterator[DBAPIConnection]:
        """Lend a connection without queueing for it.

        When busy requests hold all of them, one more is opened and closed again: a busy pool is not
        a dead database.
        """
        try:
            with no_wait():
                pooled = self.engine.raw_connection()
        except PoolTimeoutError:
            with closing(self._backend.connect()) as extra:
                yield extra
            return
        with closing(pooled):
            try:
                yield pooled.dbapi_connection or pooled
            except self._backend.driver_error as error:
                pooled.invalidate(error)
                raise

    @contextmanager
    def _translating(self, *, reading: bool, backend: Backend | None = None) -> Iterator[None]:
        """Turn the errors of the driver and the pool that an operator can end into ours."""
        try:
            yield
        except PoolTimeoutError as error:
            raise StorageBusyError(
                "Every database connection is in use; try again in a few seconds."
            ) from error
        except (DBAPIError, self._backend.driver_error) as error:
            meaning = (backend or self._backend).meaning(error, reading=reading)
            if meaning is None:
                raise
            raise meaning from error
