"""What is told of environments to those who watch them, on both databases."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, select

from app.core.errors import EnvironmentNotFoundError, PermissionDeniedError
from app.domain.authorization import Identity
from app.domain.environments.statuses import Status, StatusRecords
from app.storage import Database, Environment, EnvironmentStatus, Project, utc_now
from tests.storage.support import add_environment, environment

MOMENT = utc_now()


class House:
    """An account with some environments, each made a minute after the one before."""

    def __init__(self, database: Database, email: str, number: int) -> None:
        self.ids: list[str] = []
        with database.writing() as session:
            first = add_environment(session, email)
            project = session.get_one(Project, first.project_id)
            made = [first, *(environment(project, f"web{index}") for index in range(1, number))]
            for index, one in enumerate(made):
                one.created_at = MOMENT + timedelta(minutes=index)
                one.status, one.error = EnvironmentStatus.ERROR, f"no image {index}"
                one.status_changed_at = MOMENT
                session.add(one)
                session.flush()
                self.ids.append(one.id)
            assert project.owner_user_id is not None
            self.identity = Identity(project.owner_user_id, email)

    def status(self, index: int) -> Status:
        error = f"no image {index}"
        return Status(self.ids[index], EnvironmentStatus.ERROR, error, MOMENT)


@pytest.fixture
def database(each_database: Database) -> Database:
    return each_database


@pytest.fixture
def house(database: Database) -> House:
    return House(database, "ada@example.org", 3)


@pytest.fixture
def statuses(database: Database) -> StatusRecords:
    return StatusRecords(database)


@contextmanager
def one_query(database: Database) -> Iterator[None]:
    """Demand that the block asks the database once."""
    seen: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *a: seen.append(str(a[2])))
    yield
    assert len([one for one in seen if one.startswith("SELECT")]) == 1


def test_status_of_one(database: Database, house: House, statuses: StatusRecords) -> None:
    with one_query(database):
        assert statuses.get(house.identity, house.ids[1]) == house.status(1)


def test_one_look_for_all_who_watch(
    database: Database, house: House, statuses: StatusRecords
) -> None:
    with one_query(database):
        assert statuses.look(house.ids[1]) == house.status(1)
    with pytest.raises(EnvironmentNotFoundError):
        statuses.look("gone")


def test_who_may_not_see_it_is_refused(
    database: Database, house: House, statuses: StatusRecords
) -> None:
    stranger = House(database, "eve@example.org", 1).identity
    for identity, id in ((stranger, house.ids[0]), (house.identity, "gone")):
        with pytest.raises(EnvironmentNotFoundError):
            statuses.get(identity, id)
    with pytest.raises(PermissionDeniedError):
        statuses.get(replace(house.identity, scopes=frozenset()), house.ids[0])


def test_the_newest_of_all_that_the_caller_sees(
    database: Database, house: House, statuses: StatusRecords
) -> None:
    other = House(database, "eve@example.org", 1)
    with one_query(database):
        assert statuses.list(house.identity, limit=10) == [house.status(i) for i in (2, 1, 0)]
    assert statuses.list(house.identity, limit=2) == [house.status(2), house.status(1)]
    assert statuses.list(other.identity, limit=10) == [other.status(0)]


def test_an_environment_that_is_gone_is_in_no_list(
    database: Database, house: House, statuses: StatusRecords
) -> None:
    with database.writing() as session:
        session.delete(session.scalars(select(Environment).filter_by(id=house.ids[2])).one())
    assert statuses.list(house.identity, limit=10) == [house.status(1), house.status(0)]
