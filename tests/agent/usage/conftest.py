"""A database of each kind, a Docker in memory, and a meter that reads when it is told to."""

import pytest

from app.storage import Database
from tests.agent.usage.support import World
from tests.support.fakes import FakeEngine


@pytest.fixture
def database(each_database: Database) -> Database:
    """A database with the schema of this release."""
    return each_database


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def world(database: Database, engine: FakeEngine) -> World:
    return World(database, engine)
