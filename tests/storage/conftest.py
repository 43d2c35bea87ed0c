"""Databases to test with: each test runs on both backends unless it says otherwise."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.storage import Database
from tests.backends.migrated import at_head
from tests.backends.postgresql import PostgreSQL
from tests.support.databases import KINDS, migrated_url


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database; for a test that asks for `database`, of a migrated one."""
    if "database" in request.fixturenames:
        return migrated_url(request, tmp_path)
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/data/vibebox.db"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.new_database()


@pytest.fixture
def empty_database(url: str) -> Iterator[Database]:
    """A database that was never migrated."""
    database = Database(url)
    yield database
    database.dispose()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """A database with the schema of this release."""
    database = Database(at_head(url))  # A test may have a `url` of its own.
    yield database
    database.dispose()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of an empty SQLite database."""
    return f"sqlite:///{tmp_path}/data/vibebox.db"


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[Database]:
    """A SQLite database with the schema of this release."""
    database = Database(at_head(sqlite_url))
    yield database
    database.dispose()
