"""The schema's revision: what it is, whom it serves, and the way from one to the other.

Alembic is configured here instead of in an alembic.ini, and imported only when a migration runs.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from app.core.errors import SchemaRevisionError
from app.storage import revision_tables, revisions
from app.storage.database import Database
from app.storage.losses import Loss, inventory, losses_between
from app.storage.revisions import SchemaState, expected_revision

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = [
    "check",
    "current_revision",
    "current_state",
    "downgrade",
    "downgrade_losses",
    "expected_revision",
    "upgrade",
]

BASE = "base"
"""What Alembic calls a database before the first migration."""

# Asking a healthy database takes milliseconds; this is for one that is just starting.
_LOOK_SECONDS = 5.0

# Alembic keeps the running environment in module globals.
_one_at_a_time = threading.Lock()


class _RolledBackError(Exception):
    """Ends a migration that was only tried."""


def current_state(database: Database) -> SchemaState:
    """Return the revision that the database has and the oldest that it serves.

    Raises:
        StorageUnavailableError: The database does not answer.
    """
    return database.schema_state(_LOOK_SECONDS)


def current_revision(database: Database) -> str | None:
    """Return the revision that the database has; None before the first migration."""
    return current_state(database).revision


def check(database: Database) -> None:
    """Refuse a schema that does not serve this release at the start, instead of failing later.

    Raises:
        SchemaRevisionError: Names the revisions and the next step.
        StorageUnavailableError: The database does not answer.
    """
    revisions.verify(current_state(database))


def upgrade(database: Database, revision: str = "head") -> None:
    """Bring the schema to `revision`; nothing happens if it is there, or newer and serves us.

    Several processes may call it at once: one does the work and the others wait for it.

    Raises:
        SchemaRevisionError: A newer release has upgraded the database beyond what serves this one,
            or no such revision exists.
        StorageUnavailableError: The database does not answer, or is locked for too long.
    """
    state = current_state(database)
    if state.revision is not None and state.revision >= expected_revision():
        revisions.verify(state)
        if revision in ("head", state.revision, expected_revision()):
            return
    from alembic import command

    _migrate(database, lambda config: command.upgrade(config, revision))


def downgrade(database: Database, revision: str) -> None:
    """Take the schema back to `revision` ("base": to nothing), losing what it cannot hold.

    Raises:
        SchemaRevisionError: There is no such revision, or a newer release made the schema.
        StorageUnavailableError: As for `upgrade`.
    """
    _refuse_newer(database)
    from alembic import command

    _migrate(database, lambda config: command.downgrade(config, revision))


def downgrade_losses(database: Database, revision: str) -> list[Loss]:
    """Tell what `downgrade` would lose, by doing it in a transaction that is rolled back.

    Raises: as `downgrade`.
    """
    _refuse_newer(database)
    from alembic import command

    found: list[Loss] = []

    def compare(connection: Connection, config: "Config") -> None:
        before = inventory(connection)
        command.downgrade(config, revision)
        found.extend(losses_between(before, inventory(connection)))
        raise _RolledBackError

    try:
        _run(database, compare)
    except _RolledBackError:
        return found
    return found


def _refuse_newer(database: Database) -> None:
    """Only the release that brought a migration knows the way back."""
    state = current_state(database)
    if state.revision is not None and state.revision > expected_revision():
        raise SchemaRevisionError(
            f"The database is at revision {state.revision} and the newest that this release knows "
            f"is {expected_revision()}; take it back with the release that upgraded it, or upgrade "
            "VibeBox."
        )


def _migrate(database: Database, step: Callable[["Config"], None]) -> None:
    """Run one Alembic command, in one transaction, and note whom the schema serves."""

    def run(connection: Connection, config: "Config") -> None:
        step(config)
        revision_tables.note_served(connection, config)

    _run(database, run)


def _run(database: Database, work: Callable[[Connection, "Config"], None]) -> None:
    """Do `work` in a transaction of its own, with Alembic set up for it."""
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(revisions.MIGRATIONS).replace("%", "%%"))
    with _one_at_a_time, database.migrating() as connection:
        config.attributes["connection"] = connection
        revision_tables.adopt(connection)
        try:
            work(connection, config)
        except CommandError as error:
            raise SchemaRevisionError(
                f"The schema cannot be migrated: {error}. Migrate to a revision of this release, "
                f"whose newest is {expected_revision()}, or upgrade VibeBox."
            ) from error
