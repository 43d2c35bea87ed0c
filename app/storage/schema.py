"""The schema's revision: what it is, what it should be, and the way from one to the other.

Alembic is configured here instead of in an alembic.ini, and imported only when a migration runs.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from app.errors import SchemaRevisionError
from app.storage import revisions
from app.storage.database import Database
from app.storage.revisions import expected_revision

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = ["check", "current_revision", "downgrade", "expected_revision", "upgrade"]

# Asking a healthy database takes milliseconds; this is for one that is just starting.
_LOOK_SECONDS = 5.0

# Alembic keeps the running environment in module globals.
_one_at_a_time = threading.Lock()


def current_revision(database: Database) -> str | None:
    """Return the revision that the database has; None before the first migration."""
    return database.revision(_LOOK_SECONDS)


def check(database: Database) -> None:
    """Refuse the wrong schema at the start instead of failing later.

    Raises:
        SchemaRevisionError: Names both revisions and the next step.
        StorageUnavailableError: The database does not answer.
    """
    revisions.verify(current_revision(database))


def upgrade(database: Database, revision: str = "head") -> None:
    """Bring the schema to `revision`; nothing happens if it is there.

    Several processes may call it at once: one does the work and the others wait for it.

    Raises:
        SchemaRevisionError: A newer release has upgraded the database, or no such revision exists.
        StorageUnavailableError: The database does not answer, or is locked for too long.
    """
    current = current_revision(database)
    if current == expected_revision() and revision in {current, "head"}:
        return
    if current is not None and current > expected_revision():
        revisions.verify(current)
    from alembic import command

    _migrate(database, lambda config: command.upgrade(config, revision))


def downgrade(database: Database, revision: str) -> None:
    """Take the schema back to `revision` ("base": to nothing), losing what it cannot hold.

    Raises:
        SchemaRevisionError: There is no such revision.
        StorageUnavailableError: As for `upgrade`.
    """
    from alembic import command

    _migrate(database, lambda config: command.downgrade(config, revision))


def _migrate(database: Database, step: Callable[["Config"], None]) -> None:
    """Run one Alembic command, in one transaction."""
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(revisions.MIGRATIONS).replace("%", "%%"))
    with _one_at_a_time, database.migrating() as connection:
        config.attributes["connection"] = connection
        try:
            step(config)
        except CommandError as error:
            raise SchemaRevisionError(
                f"The schema cannot be migrated: {error}. Migrate to a revision of this release, "
                f"whose newest is {expected_revision()}, or upgrade VibeBox."
            ) from error
