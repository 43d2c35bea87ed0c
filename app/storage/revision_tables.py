"""The two tables that say where the schema is: what Alembic keeps, and whom the schema serves.

Release 0.1.0 has one table, Alembic's, and is ready only where its own revision stands in it. So
that table now holds the oldest revision that is served: 0.1.0 stays ready on every schema that
serves it. Alembic's revision has a table of its own.
"""

from typing import TYPE_CHECKING

from sqlalchemy import Column, Connection, MetaData, String, Table, delete, inspect, select

from app.storage.revisions import (
    BASELINE,
    OLDEST_SERVED_TABLE,
    REVISION_TABLE,
    SchemaState,
    refuse_broken,
)

if TYPE_CHECKING:
    from alembic.config import Config

_tables = MetaData()
# As Alembic makes it.
_REVISION, _SERVED = (
    Table(name, _tables, Column("version_num", String(32), primary_key=True))
    for name in (REVISION_TABLE, OLDEST_SERVED_TABLE)
)


def adopt(connection: Connection) -> None:
    """Make Alembic's own table where a release up to `BASELINE` has left the schema.

    Raises: SchemaRevisionError where such a release took back a part of a newer schema.
    """
    _tables.create_all(connection)
    revision, served = _only(connection, _REVISION), _only(connection, _SERVED)
    if revision is None and served is not None:
        _set(connection, _REVISION, served)
    else:
        refuse_broken(SchemaState(revision, served))


def note_served(connection: Connection, config: "Config") -> None:
    """Write down whom the schema serves after a migration; up to `BASELINE` as 0.1.0 does."""
    revision = _only(connection, _REVISION)
    if revision is None or revision <= BASELINE:
        _set(connection, _SERVED, revision)
        _REVISION.drop(connection)
    else:
        _set(connection, _SERVED, served_by(config, revision))


def served_by(config: "Config", revision: str) -> str:
    """Return the oldest revision whose release the schema at `revision` serves."""
    from alembic.script import ScriptDirectory

    migration = ScriptDirectory.from_config(config).get_revision(revision)
    return str(getattr(migration.module, "serves", revision))


def _only(connection: Connection, table: Table) -> str | None:
    if not inspect(connection).has_table(table.name):
        return None
    return connection.scalar(select(table.c.version_num))


def _set(connection: Connection, table: Table, value: str | None) -> None:
    connection.execute(delete(table))
    if value is not None:
        connection.execute(table.insert().values(version_num=value))
