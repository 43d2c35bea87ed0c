"""A database of each kind and a Docker in memory; and PostgreSQL with a real engine."""

from collections.abc import Iterator

import pytest

from app.engine import DockerEngine
from app.storage import Database
from tests.agent.usage.bench import Bench
from tests.agent.usage.support import World
from tests.backends.docker_engine import DockerEngine as RealEngine
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


@pytest.fixture
def bench(
    migrated_postgresql: str, docker_engine: RealEngine, gateway: DockerEngine
) -> Iterator[Bench]:
    database = Database(migrated_postgresql)
    yield Bench(database, docker_engine, gateway)
    database.dispose()
