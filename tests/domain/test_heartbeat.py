"""The heartbeat of a process: who counts as alive, and two threads that sign on at once."""

import threading
from contextlib import closing
from datetime import timedelta

import psycopg2
import pytest
from sqlalchemy import func, select

from app.domain.heartbeat import Heartbeat, is_alive
from app.storage import Database, Process, utc_now
from tests.backends.programs import wait_until


def test_who_is_seen_in_time_to_come_does_not_live(database: Database) -> None:
    """A clock was set back since; who lives says so again at once."""
    with database.writing() as session:
        for name, seconds in (("dead", -25), ("alive", -15), ("ahead", 15), ("future", 3600)):
            seen = utc_now() + timedelta(seconds=seconds)
            session.add(Process(id=name, place="web", seen_at=seen))
    with database.reading() as session:
        assert set(session.scalars(select(Process.id).where(is_alive()))) == {"alive", "ahead"}


@pytest.mark.integration
def test_two_threads_sign_on_at_once(migrated_postgresql: str) -> None:
    database = Database(migrated_postgresql)
    heartbeat = Heartbeat(database)
    failures: list[Exception] = []

    def sign_on() -> None:
        try:
            with database.writing() as session:
                heartbeat.ensure(session)
        except Exception as error:
            failures.append(error)

    second = threading.Thread(target=sign_on)
    with database.writing() as session:
        heartbeat.ensure(session)
        session.flush()
        second.start()
        wait_until(
            lambda: waiting(migrated_postgresql) > 0, 10
        )  # it did not see what is not committed yet
    second.join()

    assert failures == []
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Process)) == 1
    database.dispose()


def waiting(url: str) -> int:
    """Return how many sessions wait for a lock."""
    with closing(psycopg2.connect(url.replace("+psycopg2", ""))) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            row = cursor.fetchone()
            return int(row[0]) if row else 0
