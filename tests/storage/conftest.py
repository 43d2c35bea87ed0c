"""Databases to test with: each test runs on both backends unless it says otherwise."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.storage import Database, schema
from tests.backends.postgresql import PostgreSQL


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
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
def database(empty_database: Database) -> Database:
    """A database with the schema of this release."""
    schema.upgrade(empty_database)
    return empty_database


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of an empty SQLite database."""
    return f"sqlite:///{tmp_path}/data/vibebox.db"


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[Database]:
    """A SQLite database with the schema of this release."""
    database = Database(sqlite_url)
    schema.upgrade(database)
    yield database
    database.dispose()
