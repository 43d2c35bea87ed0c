"""Migrations of releases to come, for tests of what this one does with their schemas."""

from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

from app.storage import revisions

_MODULE = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{after}"
branch_labels = None
depends_on = None
{serves}

def upgrade() -> None:
    op.create_table("of_{revision}", sa.Column("id", sa.Integer(), primary_key=True))
    op.add_column("users", sa.Column("since_{revision}", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("users", "since_{revision}")
    op.drop_table("of_{revision}")
"""


class Releases:
    """Lets this process be one release after another; each brings one more migration.

    `serves` of a release: the oldest revision that its schema serves, None where it does not say.
    """

    def __init__(self, directory: Path, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.ours = revisions.expected_revision()
        self._made = directory / "migrations"
        copytree(revisions.MIGRATIONS, self._made, ignore=ignore_patterns("__pycache__"))
        self._newest = self.ours

    def add(self, serves: str | None) -> str:
        """Become the next release and return its revision."""
        revision = f"{int(self._newest) + 1:04}"
        line = "" if serves is None else f'serves = "{serves}"\n'
        text = _MODULE.format(revision=revision, after=self._newest, serves=line)
        (self._made / "versions" / f"{revision}_later.py").write_text(text)
        self._newest = revision
        self._become(self._made)
        return revision

    def back(self) -> None:
        """Become the release under test again."""
        self._patch.undo()
        revisions.expected_revision.cache_clear()

    def _become(self, migrations: Path) -> None:
        self._patch.setattr(revisions, "MIGRATIONS", migrations)
        revisions.expected_revision.cache_clear()
