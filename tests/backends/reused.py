"""Databases of PostgreSQL at the schema of this release, emptied after a test and given out again.

Making one takes a hundred times as long as emptying one: each is three hundred files.
"""

from contextlib import closing

import psycopg2
from psycopg2.extensions import cursor
from sqlalchemy.engine import make_url

from tests.backends.migrated import at_head
from tests.backends.postgresql import PostgreSQL

# What a test may not have changed, of the database that is used again.
_SHAPE = """
SELECT (SELECT string_agg(version_num, ',') FROM alembic_version),
       (SELECT string_agg(schema_revision::text, ',') FROM schema_revision),
       (SELECT string_agg(installation::text, ',') FROM installation),
       (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace),
       (SELECT count(*) FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid
        WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped),
       (SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal),
       (SELECT count(*) FROM pg_db_role_setting),
       (SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid())
"""
# But for what the migrations leave, which stands in the shape.
_TABLES = """
SELECT string_agg(format('DELETE FROM %I.%I', schemaname, tablename), ';') FROM pg_tables
WHERE schemaname = 'public'
AND tablename NOT IN ('alembic_version', 'schema_revision', 'installation')
"""
_RESTART = """
SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)
FROM pg_sequences WHERE last_value IS NOT NULL
"""


class Reused:
    """The databases of one server; one that a test changed or still uses is not given out again."""

    def __init__(self, server: PostgreSQL) -> None:
        self._server = server
        self._free: list[str] = []
        self._shape: tuple[object, ...] | None = None

    def take(self) -> str:
        """Return the URL of a database without rows."""
        while self._free:
            url = self._free.pop()
            if self._emptied(url):
                return url
        url = at_head(self._server.new_database())
        if self._shape is None:
            with closing(_connect(url)) as connection, connection.cursor() as opened:
                self._shape = _shape(opened)
        return url

    def give_back(self, url: str) -> None:
        """Have the database given out again, once it is seen that it can be."""
        self._free.append(url)

    def _emptied(self, url: str) -> bool:
        try:
            with closing(_connect(url)) as connection, connection.cursor() as opened:
                if _shape(opened) != self._shape:
                    return False
                opened.execute(_TABLES)
                (statements,) = opened.fetchone() or ("",)
                # Without foreign keys: what refers to what is of no matter where all goes.
                opened.execute(f"SET session_replication_role = replica; {statements}")
                opened.execute(_RESTART)
        except psycopg2.Error:
            return False
        return True


def _connect(url: str) -> "psycopg2.extensions.connection":
    parts = make_url(url)
    connection = psycopg2.connect(
        host=parts.host,
        port=parts.port,
        user=parts.username,
        dbname=parts.database,
        connect_timeout=5,
        options="-c lock_timeout=2000",
    )
    connection.autocommit = True
    return connection


def _shape(opened: cursor) -> tuple[object, ...]:
    opened.execute(_SHAPE)
    found: tuple[object, ...] = opened.fetchone() or ()
    return found
