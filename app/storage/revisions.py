"""Which schema revision this release needs, known without importing Alembic.

Revisions are numbered in one line ("0001", "0002", …) and a migration's file name begins with its
revision, so that the newest one is the last name in the directory. A probe asks for it every few
seconds and each start once: Alembic's import alone takes longer than both should.
"""

from functools import cache
from pathlib import Path

from app.errors import SchemaRevisionError

MIGRATIONS = Path(__file__).parent / "migrations"


@cache
def expected_revision() -> str:
    """Return the revision of the newest migration in this release."""
    return max(path.name.partition("_")[0] for path in MIGRATIONS.glob("versions/[0-9]*_*.py"))


def verify(current: str | None) -> None:
    """Raise SchemaRevisionError, which says what to do, unless `current` is the expected one."""
    expected = expected_revision()
    if current == expected:
        return
    if current is None:
        problem = f"The database has no schema yet and this release needs revision {expected}"
    else:
        problem = f"The database is at revision {current} and this release needs {expected}"
    raise SchemaRevisionError(f"{problem}; {_next_step(current, expected)}.")


def _next_step(current: str | None, expected: str) -> str:
    if current is not None and current > expected:
        return "a newer release has upgraded it, so upgrade VibeBox"
    return "run `vibebox migrate`"
