"""A database of each kind, a Docker in memory, and a meter that reads when it is told to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.storage import Database
from tests.agent.usage.support import World
from tests.backends.migrated import at_head
from tests.support.fakes import FakeEngine


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database with the schema of this release."""
    if request.param == "sqlite":
        url = at_head(f"sqlite:///{tmp_path}/vibebox.db")
    else:
        url = request.getfixturevalue("migrated_postgresql")
    database = Database(url)
    yield database
    database.dispose()


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def world(database: Database, engine: FakeEngine) -> World:
    return World(database, engine)
