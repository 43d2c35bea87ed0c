"""The throw-away PostgreSQL."""

import time
from collections.abc import Iterator

import psycopg2
import pytest
from psycopg2.extensions import get_wait_callback, set_wait_callback

from tests.backends.postgresql import PostgreSQL

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def plain_driver() -> Iterator[None]:
    """Use psycopg2 as it comes: the service's own wait callback is global to the process."""
    installed = get_wait_callback()
    set_wait_callback(None)
    yield
    set_wait_callback(installed)


def query(url: str, statement: str, connect_timeout: int = 5) -> object:
    """Run one statement on a connection of its own and return its first value."""
    connection = psycopg2.connect(url.replace("+psycopg2", ""), connect_timeout=connect_timeout)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone()
            return row[0] if row else None
    finally:
        connection.close()


def test_new_databases_are_empty_and_apart(postgresql: PostgreSQL) -> None:
    first, second = postgresql.new_database(), postgresql.new_database()
    assert first != second
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    assert query(first, tables) == 0
    assert query(postgresql.url, "SELECT current_database()") == "vibebox"


def test_suspended_server_accepts_and_never_answers(postgresql: PostgreSQL) -> None:
    url = postgresql.new_database()
    postgresql.suspend()
    with pytest.raises(psycopg2.OperationalError, match="timeout"):
        query(url, "SELECT 1", connect_timeout=2)
    postgresql.resume()
    assert query(url, "SELECT 1") == 1


def test_stopped_server_refuses_and_keeps_its_data(postgresql: PostgreSQL) -> None:
    url = postgresql.new_database()
    postgresql.stop()
    started = time.monotonic()
    with pytest.raises(psycopg2.OperationalError, match="refused"):
        query(url, "SELECT 1")
    assert time.monotonic() - started < 1
    postgresql.start()
    assert query(url, "SELECT 1") == 1


def test_killed_server_recovers(postgresql: PostgreSQL) -> None:
    url = postgresql.new_database()
    postgresql.kill()
    postgresql.heal()
    assert query(url, "SELECT 1") == 1
