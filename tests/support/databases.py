"""Databases of each kind, as fixtures: a test that has one runs on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from app.storage import Database
from tests.backends.migrated import at_head

KINDS = ("sqlite", pytest.param("postgresql", marks=pytest.mark.integration))


def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a database without rows, of the kind that the fixture's parameter names."""
    if request.param == "sqlite":
        return at_head(f"sqlite:///{tmp_path}/data/vibebox.db")
    return cast(str, request.getfixturevalue("migrated_postgresql"))


@pytest.fixture(params=KINDS)
def each_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of each kind with the schema of this release."""
    database = Database(migrated_url(request, tmp_path))
    yield database
    database.dispose()
