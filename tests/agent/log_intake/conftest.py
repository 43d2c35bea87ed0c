"""A database of each kind with an environment in it, and intakes that are closed at the end."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest

from app.agent.log_intake.intake import LogIntake
from app.domain.durable_counters import DurableCounters
from app.engine import Engine
from app.storage import Database
from app.storage.fence import Fence, unfenced
from tests.agent.log_intake.support import DIRECTORY
from tests.storage.support import add_environment
from tests.support.fakes import FakeEngine


@pytest.fixture
def database(each_database: Database) -> Database:
    """A database with the schema of this release."""
    return each_database


@pytest.fixture
def environment(database: Database) -> str:
    """The id of an environment."""
    with database.writing() as session:
        return add_environment(session).id


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


class IntakeFactory(Protocol):
    """Makes intakes that store in the database of the test."""

    def __call__(self, engine: Engine, fence: Fence = unfenced) -> LogIntake: ...


@pytest.fixture
def make_intake(database: Database) -> Iterator[IntakeFactory]:
    with ExitStack() as stack:

        def make(engine: Engine, fence: Fence = unfenced) -> LogIntake:
            intake = LogIntake(database, engine, DurableCounters(DIRECTORY), fence)
            stack.callback(intake.close, 20)
            return intake

        yield make
