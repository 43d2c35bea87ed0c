"""PostgreSQL that hangs, stops, refuses or takes too long.

Bounds are generous: they only tell a deadline that holds from a wait without end.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest
from sqlalchemy import event, select, text

from app.core.errors import StorageUnavailableError
from app.storage import Database, User, schema
from tests.backends.postgresql import PostgreSQL
from tests.storage.support import HANG, Stopwatch, all_connections_busy, answer, suspended, user

pytestmark = pytest.mark.integration


@pytest.fixture
def server(postgresql: PostgreSQL) -> PostgreSQL:
    return postgresql


@pytest.fixture
def url(server: PostgreSQL) -> str:
    return server.new_database()


@pytest.fixture
def impatient(database: Database, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The same database with short limits: a statement has 0.5 s, a wait one second."""
    monkeypatch.setattr("app.storage.postgresql.WAIT_MARGIN_SECONDS", 0.5)
    impatient = Database(url, statement_timeout=0.5)
    yield impatient
    impatient.dispose()


def test_statement_timeout_ends_a_slow_statement(impatient: Database) -> None:
    with pytest.raises(StorageUnavailableError) as caught, impatient.reading() as session:
        session.execute(text("SELECT pg_sleep(60)"))
    assert "statement timeout" in str(caught.value.__cause__)
    assert "statement timeout" not in caught.value.detail
    assert answer(impatient) == 1


def test_session_is_set_up(database: Database) -> None:
    expected = {
        "application_name": "vibebox",
        "statement_timeout": "30s",
        "idle_in_transaction_session_timeout": "1min",
    }
    with database.reading() as session:
        for name, value in expected.items():
            assert session.execute(text(f"SHOW {name}")).scalar_one() == value
        driver = session.connection().connection.driver_connection
    assert isinstance(driver, psycopg2.extensions.connection)
    assert driver.get_dsn_parameters()["tcp_user_timeout"] == "3000"


def test_options_in_the_url_win(url: str) -> None:
    database = Database(f"{url}?application_name=ours&options=-c%20statement_timeout%3D7s")
    with database.reading() as session:
        assert session.execute(text("SHOW statement_timeout")).scalar_one() == "7s"
        assert session.execute(text("SHOW application_name")).scalar_one() == "ours"
    database.dispose()


def test_hung_query_ends_at_its_deadline_and_the_database_recovers(
    server: PostgreSQL, impatient: Database
) -> None:
    with pytest.raises(StorageUnavailableError), impatient.reading() as session:
        session.execute(text("SELECT 1"))
        with suspended(server) as watch:
            try:
                session.execute(text("SELECT 1"))
            finally:
                assert watch.seconds < HANG
    assert answer(impatient) == 1


def test_hung_commit_ends_at_its_deadline(server: PostgreSQL, impatient: Database) -> None:
    watch = None
    try:
        with pytest.raises(StorageUnavailableError), impatient.writing() as session:
            session.add(user())
            session.flush()
            server.suspend()
            watch = Stopwatch()
        assert watch and watch.seconds < HANG
    finally:
        server.resume()
    with impatient.reading() as session:
        assert len(session.scalars(select(User)).all()) <= 1


def test_hung_rollback_ends_at_its_deadline(server: PostgreSQL, impatient: Database) -> None:
    watch = None
    try:
        with pytest.raises(StorageUnavailableError), impatient.writing() as session:
            session.add(user())
            session.flush()
            server.suspend()
            watch = Stopwatch()
            raise LookupError
        assert watch and watch.seconds < HANG
    finally:
        server.resume()
    assert answer(impatient) == 1


def test_checkout_from_a_hung_server_is_bounded_by_ping_and_connect(
    server: PostgreSQL, database: Database
) -> None:
    assert answer(database) == 1
    with suspended(server) as watch:
        with pytest.raises(StorageUnavailableError):
            answer(database)
        # 2 s for the ping and 2 s for the new connection; a statement would have 35 s.
        assert watch.seconds < 10
        with pytest.raises(StorageUnavailableError):
            answer(database)
        assert watch.seconds < 15
    assert answer(database) == 1


@pytest.mark.parametrize("connected", [True, False], ids=["pooled connection", "new connection"])
def test_probe_of_a_hung_server_ends_at_its_deadline(
    server: PostgreSQL, database: Database, connected: bool
) -> None:
    if not connected:
        database.dispose()
    for _ in range(2):
        with suspended(server) as watch:
            with pytest.raises(StorageUnavailableError):
                database.probe(0.8)
            # The ping alone has 2 s, the connection another 2 s.
            assert watch.seconds < 1.8
        database.probe(10)


def test_probe_with_a_busy_pool_of_a_hung_server_ends_at_its_deadline(
    server: PostgreSQL, database: Database, url: str
) -> None:
    small = Database(url, pool_size=1, max_overflow=0)
    with all_connections_busy(small, 1):
        with suspended(server) as watch:
            with pytest.raises(StorageUnavailableError):
                small.probe(0.8)
            assert watch.seconds < 1.8
        small.probe(10)
    small.dispose()


def test_probe_is_not_held_up_by_threads_that_hang(server: PostgreSQL, database: Database) -> None:
    with ThreadPoolExecutor(3) as threads, suspended(server):
        stuck = [threads.submit(answer, database) for _ in range(3)]
        watch = Stopwatch()
        with pytest.raises(StorageUnavailableError):
            database.probe(0.5)
        assert watch.seconds < 1.8
        for future in stuck:
            assert isinstance(future.exception(HANG), StorageUnavailableError)
    assert answer(database) == 1


def test_stopped_server_is_reported_and_found_again(server: PostgreSQL, database: Database) -> None:
    assert answer(database) == 1
    server.stop()
    try:
        for _ in range(2):
            with pytest.raises(StorageUnavailableError) as caught:
                answer(database)
            assert caught.value.__cause__ is not None
            assert "127.0.0.1" not in caught.value.detail
        with pytest.raises(StorageUnavailableError):
            database.probe(5)
    finally:
        server.start()
    assert answer(database) == 1
    database.probe(5)


def test_connection_that_died_while_idle_is_replaced_unnoticed(
    server: PostgreSQL, database: Database
) -> None:
    assert answer(database) == 1
    server.stop()
    server.start()
    assert answer(database) == 1


def test_connection_killed_during_a_transaction_is_reported(database: Database, url: str) -> None:
    other = Database(url)
    with pytest.raises(StorageUnavailableError), database.writing() as session:
        pid = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with other.writing() as killer:
            killer.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        session.execute(text("SELECT 1"))
    assert answer(database) == 1
    other.dispose()


def test_ping_that_fails_tells_the_events_of_the_engine(
    server: PostgreSQL, database: Database
) -> None:
    assert answer(database) == 1
    seen: list[bool] = []
    event.listen(database.engine, "handle_error", lambda context: seen.append(context.is_pre_ping))
    server.stop()
    server.start()
    assert answer(database) == 1
    assert seen == [True]


def test_migration_is_not_limited_by_the_time_out_of_statements(url: str) -> None:
    database = Database(url, statement_timeout=0.2)
    with database.migrating() as connection:
        connection.execute(text("SELECT pg_sleep(0.5)"))
        for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
            assert connection.execute(text(f"SHOW {name}")).scalar_one() == "0"
    database.dispose()


def test_migration_waits_for_another_one_only_so_long(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.storage.postgresql.MIGRATION_LOCK_SECONDS", 0.1)
    database = Database(url)
    with database.migrating(), pytest.raises(StorageUnavailableError) as caught:
        schema.upgrade(database)
    assert "lock timeout" in str(caught.value.__cause__)
    schema.upgrade(database)
    database.dispose()
