"""A process that signs on from two threads at once stands in the table once."""

import threading

import pytest
from sqlalchemy import func, select

from app.processes import Presence
from app.storage import Database, Process, schema
from tests.services.postgresql import PostgreSQL


@pytest.mark.integration
def test_two_threads_sign_on_at_once(postgresql: PostgreSQL) -> None:
    database = Database(postgresql.new_database())
    schema.upgrade(database)
    presence = Presence(database)
    together, failures = threading.Barrier(4), list[Exception]()

    def sign_on() -> None:
        try:
            with database.writing() as session:
                together.wait(10)
                presence.ensure(session)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=sign_on) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Process)) == 1
    database.dispose()
