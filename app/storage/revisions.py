"""Which schema revision this release needs, known without importing Alembic.

Revisions are numbered in one line ("0001", "0002", …) and a migration's file name begins with its
revision, so that the newest one is the last name in the directory. A probe asks for it every few
seconds and each start once: Alembic's import alone takes longer than both should.

Migrations only expand (see `docs/decisions/0029`), so a newer schema serves older releases too, and
says which: each migration after `BASELINE` names in `serves` the oldest revision whose release may
go on with the schema that it makes.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

from app.core.errors import SchemaRevisionError

MIGRATIONS = Path(__file__).parent / "migrations"
REVISION_TABLE = "schema_revision"
"""Holds the schema's revision; Alembic keeps it. Not there up to `BASELINE`."""
OLDEST_SERVED_TABLE = "alembic_version"
"""Holds the oldest revision that is served: release 0.1.0 looks for its own revision there."""
BASELINE = "0005"
"""The schema of release 0.1.0, the last one that serves a single release."""


class SchemaState(NamedTuple):
    """The schema's revision, and the oldest one that it serves; both None where there is none."""

    revision: str | None
    serves: str | None


@cache
def expected_revision() -> str:
    """Return the revision of the newest migration in this release."""
    return max(path.name.partition("_")[0] for path in MIGRATIONS.glob("versions/[0-9]*_*.py"))


def verify(state: SchemaState) -> None:
    """Accept the schema of this release, and a newer one that serves it.

    Raises: SchemaRevisionError, which names the revisions and says what to do.
    """
    refuse_broken(state)
    expected = expected_revision()
    if state.revision is None or state.serves is None:
        raise SchemaRevisionError(
            f"The database has no schema yet and this release needs revision {expected}; "
            "run `vibebox migrate`."
        )
    if state.revision < expected:
        raise SchemaRevisionError(
            f"The database is at revision {state.revision} and this release needs {expected}; "
            "run `vibebox migrate`."
        )
    if state.serves > expected:
        raise SchemaRevisionError(
            f"The database is at revision {state.revision}, which serves releases that need "
            f"{state.serves} or later, and this release is for {expected}; a newer release has "
            "upgraded it, so upgrade VibeBox."
        )


def refuse_broken(state: SchemaState) -> None:
    """Raise SchemaRevisionError where `vibebox downgrade` of release 0.1.0 took back a part.

    It knows nothing of what later releases made, and leaves that where it is.
    """
    if state.revision is not None and state.revision > BASELINE > (state.serves or ""):
        raise SchemaRevisionError(
            f"Release 0.1.0 has taken back a part of the schema, to revision "
            f"{state.serves or 'base'}, of which the rest is at {state.revision}; restore the copy "
            "of the database that was made before that."
        )
