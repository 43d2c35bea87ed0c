"""The database: it answers, has a schema that serves this release, and takes changes."""

from app.core.errors import StorageError
from app.doctor.findings import Finding, failed, ok, parted
from app.doctor.looks import refuse_absent
from app.storage import Database
from app.storage.revisions import SchemaState, expected_revision

_SECONDS = 1.5
LATE = failed(
    "The database does not say in time that it is there: the look-up of its host's name may hang.",
    "See whether the host's name in DATABASE_URL is found (`getent hosts NAME`); if it is, see the "
    "database's own log.",
)
_NEXT_STEP = "See the database's own log, and DATABASE_URL."


def look(database: Database) -> Finding:
    """Return whether the database can do its work; a row of its own is written for that."""
    try:
        refuse_absent(database)
        state = database.probe(_SECONDS)
    except StorageError as error:
        return failed(*parted(error.reason, _NEXT_STEP))
    return ok(
        f"{database.describe()} answers, has schema revision {_shown(state)}, and takes changes."
    )


def _shown(state: SchemaState) -> str:
    """Return the revision, which is this release's or a newer one that serves it."""
    needed = expected_revision()
    newer = f" (which serves this release's {needed} too)" if state.revision != needed else ""
    return f"{state.revision}{newer}"
