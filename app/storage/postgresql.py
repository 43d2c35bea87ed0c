"""PostgreSQL through psycopg2, with an end to every wait.

A server that is stopped, swapping or cut off behind a proxy still acknowledges packets: no time-out
of libpq, TCP or the server ends such a wait. psycopg2 therefore waits by our callback, which polls
the socket with a deadline. That covers connect, queries, commit, rollback and pings alike. Name
resolution is the exception: libpq does it before the first wait.
"""

import math
import select
from collections.abc import Mapping
from time import monotonic
from typing import Any, cast

import psycopg2
from psycopg2 import errorcodes, extensions
from sqlalchemy import URL, Connection, Engine, create_engine, func
from sqlalchemy import select as sql_select
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.engine.interfaces import DBAPIConnection

from app.core import deadline
from app.core.errors import StorageError
from app.storage.postgresql_errors import meaning

# A ping of a healthy server takes less than a millisecond; more only delays the verdict.
PING_SECONDS = 2.0
# The server ends a statement by itself first, with a better message and a connection that lives on.
WAIT_MARGIN_SECONDS = 5.0
# Held open by a stuck process, a transaction keeps its locks and stops VACUUM.
IDLE_IN_TRANSACTION_SECONDS = 60.0
# How long a migration waits for another one, or for the locks of a running service.
MIGRATION_LOCK_SECONDS = 60.0

# 100 KiB, sorted nowhere and kept by nobody. With less memory than that they go to a file.
_PROVE_WRITABLE = """
SET LOCAL work_mem = '64kB';
SELECT count(*) FROM generate_series(1, 8000);
INSERT INTO write_probes (slot, written_at) VALUES (%s, CURRENT_TIMESTAMP)
ON CONFLICT (slot) DO UPDATE SET written_at = excluded.written_at
"""

# Any number will do that nobody else takes in the same database: "vibebox" in ASCII.
_MIGRATION_LOCK = 0x76696265626F78


class DeadlineExceededError(psycopg2.OperationalError):
    """The server did not answer in time; psycopg2 closes the connection when a wait raises."""


class BoundedConnection(extensions.connection):
    """A connection that knows the longest wait it may cause."""

    wait_limit: float = math.inf


def wait(connection: extensions.connection) -> None:
    """Wait until the driver's operation on `connection` is done, or raise at the deadline."""
    limit: float = getattr(connection, "wait_limit", math.inf)
    ends_at = monotonic() + deadline.remaining(limit)
    while (state := connection.poll()) != extensions.POLL_OK:
        left = ends_at - monotonic()
        if left <= 0:
            raise DeadlineExceededError("no answer from the server before the deadline")
        # Made anew each time: while connecting, libpq may go on to the next address.
        poller = select.poll()
        ready = select.POLLIN if state == extensions.POLL_READ else select.POLLOUT
        poller.register(connection.fileno(), ready)
        poller.poll(None if left == math.inf else math.ceil(left * 1000))


class PostgresqlDialect(PGDialect_psycopg2):
    """SQLAlchemy's dialect, with its own conversations bounded."""

    supports_statement_cache = True

    def do_ping(self, dbapi_connection: DBAPIConnection) -> bool:
        """Ping within a short deadline; a failure makes the pool replace the connection."""
        with deadline.within(PING_SECONDS):
            return bool(super().do_ping(dbapi_connection))  # type: ignore[no-untyped-call]

    def initialize(self, connection: Connection) -> None:
        """Ask for the server's version and defaults, once, while other threads wait for us."""
        with deadline.within(PING_SECONDS):
            super().initialize(connection)  # type: ignore[no-untyped-call]

    def set_readonly(self, connection: Any, value: bool) -> None:
        """Make the connection's transactions read-only, or what the server lets them be.

        Never read-write: that would pass by default_transaction_read_only, on some connections.
        """
        connection.readonly = True if value else None


# Through the registry, because an engine finds its dialect class by the name in its URL only.
registry.register("postgresql.vibebox", __name__, PostgresqlDialect.__name__)


class PostgresqlBackend:
    """A PostgreSQL server."""

    driver_error: type[Exception] = psycopg2.Error
    reading_options: Mapping[str, Any] = {"postgresql_readonly": True}
    seconds_until = "EXTRACT(EPOCH FROM {} - clock_timestamp())"

    def __init__(
        self,
        url: URL,
        *,
        connect_timeout: float,
        statement_timeout: float,
        server_settings: dict[str, float] | None = None,
        migrating: bool = False,
    ) -> None:
        self.url = url.set(drivername="postgresql")
        self._connect_timeout = connect_timeout
        self._statement_timeout = statement_timeout
        self._migrating = migrating
        # A time-out of 0 is PostgreSQL's word for none.
        self._wait_limit = (
            statement_timeout + WAIT_MARGIN_SECONDS if statement_timeout else math.inf
        )
        self._arguments = self._connect_arguments(
            {
                "statement_timeout": statement_timeout,
                "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_SECONDS,
                **(server_settings or {}),
            }
        )
        extensions.set_wait_callback(wait)

    def _connect_arguments(self, timeouts: dict[str, float]) -> dict[str, Any]:
        """Merge the URL with our defaults; what the URL says wins."""
        dialect = PGDialect_psycopg2()  # type: ignore[no-untyped-call]
        _, given = dialect.create_connect_args(self.url)  # type: ignore[no-untyped-call]
        options = [f"-c {name}={seconds * 1000:.0f}" for name, seconds in timeouts.items()]
        options.append(given.pop("options", ""))
        return {
            "application_name": "vibebox",
            # libpq ignores this while we wait for it; kept for what reads the DSN.
            "connect_timeout": math.ceil(self._connect_timeout),
            # Dropped packets: unanswered data ends the connection after 3 s, silence after 20.
            "tcp_user_timeout": 3000,
            "keepalives": 1,
            "keepalives_idle": 5,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            **given,
            "options": " ".join(options).strip(),
        }

    def connect(self) -> DBAPIConnection:
        """Open a connection within the connect time-out."""
        with deadline.within(self._connect_timeout):
            connection = psycopg2.connect(**self._arguments, connection_factory=BoundedConnection)
        connection.wait_limit = self._wait_limit
        return cast(DBAPIConnection, connection)

    def engine(self, **pool_arguments: Any) -> Engine:
        """Make an engine whose pool opens its connections by `connect`."""
        return create_engine(
            # Without what `connect` alone needs: the query may hold passwords and is never hidden.
            self.url.set(drivername="postgresql+vibebox", query={}),
            creator=self.connect,
            # Looking for a type that we do not use would cost each connection a query.
            use_native_hstore=False,
            # An error's text goes into the log, and parameters are what users have told us.
            hide_parameters=True,
            **pool_arguments,
        )

    def meaning(self, error: Exception, *, reading: bool) -> StorageError | None:
        """See `postgresql_errors.meaning`."""
        return meaning(error, self.url, reading=reading, migrating=self._migrating)

    def prove_writable(self, connection: DBAPIConnection, slot: int) -> None:
        """Write to the row, and to a temporary file, which needs room on the disk as tables do.

        In one go to the server, which ends it whatever becomes of us: nobody waits for a lock that
        a frozen process holds. The row alone would need no room: its place is used again.
        """
        driver = cast(extensions.connection, connection)
        driver.autocommit = True
        try:
            with driver.cursor() as cursor:
                cursor.execute(_PROVE_WRITABLE, (slot,))
        finally:
            if not driver.closed:
                driver.autocommit = False

    def is_missing_table(self, error: Exception) -> bool:
        """Decide by SQLSTATE; messages are translated to the server's language."""
        return getattr(error, "pgcode", None) == errorcodes.UNDEFINED_TABLE

    def for_migration(self) -> "PostgresqlBackend":
        """Return the same server, patient with statements but not with locks."""
        return PostgresqlBackend(
            self.url,
            connect_timeout=self._connect_timeout,
            statement_timeout=0,
            server_settings={
                "idle_in_transaction_session_timeout": 0,
                "lock_timeout": MIGRATION_LOCK_SECONDS,
            },
            migrating=True,
        )

    def before_migration(self, connection: Connection) -> None:
        """Take the advisory lock of migrations; the end of the transaction releases it."""
        connection.execute(sql_select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))

    def after_migration(self, connection: Connection) -> None:
        """Nothing to do: PostgreSQL enforces its constraints also during a migration."""
