"""reading() and writing(): what they keep, undo, refuse and let through."""

import traceback
from typing import Any

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError, SQLAlchemyError

from app.core.errors import StorageUnavailableError
from app.storage import Database, User
from tests.storage.support import all_connections_busy, answer, user


def count_users(database: Database) -> int:
    with database.reading() as session:
        return session.scalars(select(func.count()).select_from(User)).one()


def test_writing_commits_and_leaves_objects_readable(database: Database) -> None:
    with database.writing() as session:
        ada = user()
        session.add(ada)
    assert ada.email == "ada@example.org"
    assert count_users(database) == 1


def test_writing_rolls_back_when_the_body_raises(database: Database) -> None:
    with pytest.raises(LookupError), database.writing() as session:
        session.add(user())
        session.flush()
        raise LookupError
    assert count_users(database) == 0


@pytest.mark.parametrize("pending", [True, False], ids=["forgotten object", "statement"])
def test_reading_cannot_write(database: Database, pending: bool) -> None:
    with pytest.raises(DBAPIError, match=r"read-?only"), database.reading() as session:
        if pending:
            session.add(user())
        else:
            session.execute(text("DELETE FROM users"))
    with database.writing() as session:
        session.add(user())
    assert count_users(database) == 1


def test_broken_constraint_reaches_the_service(database: Database) -> None:
    with pytest.raises(IntegrityError), database.writing() as session:
        session.add_all([user(), user()])


def test_mistake_in_a_statement_surfaces(database: Database) -> None:
    with pytest.raises(DBAPIError) as caught, database.reading() as session:
        session.execute(text("SELECT 1 FROM users WHERE nonsense("))
    if database.engine.name == "postgresql":
        assert isinstance(caught.value, ProgrammingError)


def test_exhausted_pool_is_reported_as_busy(url: str) -> None:
    database = Database(url, pool_size=1, max_overflow=0, pool_timeout=0.05)
    with all_connections_busy(database, 1):
        with pytest.raises(StorageUnavailableError, match="in use") as caught:
            answer(database)
        assert isinstance(caught.value.__cause__, SQLAlchemyError)
    assert answer(database) == 1
    database.dispose()


def test_beginning_pinging_and_probing_are_no_statements(database: Database) -> None:
    seen: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        seen.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    for _ in range(2):
        answer(database)
        database.probe(5)
        with database.writing() as session:
            session.execute(text("SELECT 2"))
    assert seen == ["SELECT 1", "SELECT 2"] * 2


def test_engine_errors_reach_the_events_of_the_engine(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    seen: list[BaseException] = []
    event.listen(
        database.engine, "handle_error", lambda context: seen.append(context.original_exception)
    )
    with pytest.raises(DBAPIError), database.reading() as session:
        session.execute(text("SELECT 1 FROM users WHERE nonsense("))
    assert len(seen) == 1
    database.dispose()


def test_what_a_user_told_us_is_in_no_error(database: Database) -> None:
    """The log has the traceback of a failed statement, and so has whoever gets the log."""
    insert = text("INSERT INTO users (id, email) VALUES ('1', :email)")
    with pytest.raises(Exception, match="users") as caught, database.writing() as session:
        session.execute(insert.bindparams(email="ada-s3cret@example.org"))
    told = "".join(traceback.format_exception(caught.value))
    assert "INSERT INTO users" in told
    assert "[SQL parameters hidden" in told
