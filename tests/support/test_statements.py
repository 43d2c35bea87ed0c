"""Statements that are compiled once serve every database of their kind, and no other."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event, select

from app.storage import Database
from app.storage.models.accounts import User
from app.storage.postgresql import PostgresqlDialect
from app.storage.sqlite import SqliteDialect
from tests.backends.migrated import at_head


def asked(database: Database, email: str) -> tuple[list[str], object]:
    """Return how SQLAlchemy came by what it sent to ask for an account, and the answer."""
    found: list[str] = []

    def note(*arguments: object) -> None:
        found.append(arguments[4]._get_cache_stats())  # type: ignore[attr-defined]

    event.listen(database.engine, "after_cursor_execute", note)
    with database.reading() as session:
        answer = session.scalar(select(User.email).where(User.email == email))
    return found, answer


@pytest.fixture
def databases(tmp_path: Path) -> Iterator[list[Database]]:
    made = [Database(at_head(f"sqlite:///{tmp_path}/{name}.db")) for name in "ab"]
    yield made
    for database in made:
        database.dispose()


def test_second_database_compiles_nothing(databases: list[Database]) -> None:
    first, second = databases
    asked(first, "ada@example.org")
    with second.writing() as session:
        session.add(User(email="eve@example.org", password_hash="-"))
    how, answer = asked(second, "eve@example.org")
    assert all(text.startswith("cached since") for text in how), how
    assert answer == "eve@example.org"


def test_kinds_and_versions_are_kept_apart() -> None:
    sqlite, other = SqliteDialect(), SqliteDialect()
    postgresql: object = PostgresqlDialect()  # type: ignore[no-untyped-call]
    assert sqlite == other and hash(sqlite) == hash(other)
    assert sqlite != postgresql
    other.server_version_info = (3, 1)
    assert sqlite != other
