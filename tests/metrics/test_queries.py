"""Statements and the connection pool, measured through SQLAlchemy's events."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError, TimeoutError

from app.metrics.catalogue import registry
from app.storage import Database, User, utc_now
from prefork_metrics.sqlalchemy import UNMEASURED, classify, measure
from tests.support.checks import moved, read

QUERIES = "vibebox_db_query_duration_seconds_count"
SECONDS = "vibebox_db_query_duration_seconds_sum"
POOL = "vibebox_db_connection_pool_size"
UTILIZATION = "vibebox_db_connection_pool_utilization"


@pytest.mark.parametrize(
    ("statement", "classes"),
    [
        ("SELECT users.id FROM users WHERE users.email = ?", ("select", "users")),
        ('SELECT "users"."id" FROM "users"', ("select", "users")),
        ("select count(*) from environments", ("select", "environments")),
        ("\n  SELECT 1", ("select", "other")),
        ("SELECT version_num FROM alembic_version", ("select", "other")),
        ("SELECT * FROM (SELECT id FROM auth_tokens) AS t", ("select", "auth_tokens")),
        ("SELECT x FROM users FOR UPDATE", ("select", "users")),
        ("INSERT INTO auth_tokens (id) VALUES (?)", ("insert", "auth_tokens")),
        ('INSERT INTO "users" (id) VALUES (?)', ("insert", "users")),
        ("UPDATE environments SET status=? RETURNING id", ("update", "environments")),
        ("DELETE FROM users WHERE id = ?", ("delete", "users")),
        ("PRAGMA foreign_keys", ("other", "other")),
        ("WITH x AS (SELECT 1) SELECT * FROM x", ("other", "other")),
        ("CREATE TABLE users (id)", ("other", "other")),
        ("SELECTED FROM users", ("other", "users")),
        ("SELECT 1 FROM users_archive", ("select", "other")),
        ("", ("other", "other")),
    ],
)
def test_classification(statement: str, classes: tuple[str, str]) -> None:
    assert classify(statement, frozenset(registry.models)) == classes


@pytest.fixture
def measured(database: Database) -> Database:
    measure(database.engine, registry, 4)
    return database


def test_each_statement_counts_once(measured: Database) -> None:
    with moved(QUERIES) as queries, moved(SECONDS) as seconds:
        with measured.writing() as session:
            user = User(email="a@b.cd", password_hash="x")
            session.add(user)
            session.flush()
            user.last_authenticated_at = utc_now()
            session.flush()
            session.delete(user)
        with measured.reading() as session:
            session.query(User).all()

    assert queries == {(name, "users"): 1 for name in ("select", "insert", "update", "delete")}
    assert all(value > 0 for value in seconds.values())


def test_failed_statement_counts_once(measured: Database) -> None:
    with (
        moved(QUERIES) as queries,
        pytest.raises(OperationalError),
        measured.reading() as session,
    ):
        session.execute(text("SELECT nothing FROM users"))

    assert queries == {("select", "users"): 1}


def test_many_rows_are_one_statement(measured: Database) -> None:
    rows = [{"id": str(n), "email": f"{n}@b.cd", "hash": "x", "at": "2025"} for n in range(5)]
    insert = (
        "INSERT INTO users (id, email, password_hash, created_at) VALUES (:id,:email,:hash,:at)"
    )
    with moved(QUERIES) as queries, measured.writing() as session:
        session.execute(text(insert), rows)

    assert queries == {("insert", "users"): 1}


def test_statement_of_a_scrape_is_not_measured(measured: Database) -> None:
    with moved(QUERIES) as queries, measured.reading() as session:
        session.connection(execution_options=UNMEASURED)
        session.execute(text("SELECT 1 FROM users"))

    assert queries == {}


def test_probe_is_not_measured(measured: Database) -> None:
    with moved(QUERIES) as queries:
        measured.probe(1)

    assert queries == {}


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Engine]:
    """An engine of two connections and two more under load."""
    engine = create_engine(
        f"sqlite:///{tmp_path}/pool.db", pool_size=2, max_overflow=2, pool_timeout=0.01
    )
    measure(engine, registry, 4)
    yield engine
    engine.dispose()


def states() -> dict[str, float]:
    return {labels[0]: value for labels, value in read(POOL).items()}


def test_pool_that_was_never_used(pool: Engine) -> None:
    assert states() == {"active": 0, "idle": 0, "overflow": 0, "max": 4}
    assert read(UTILIZATION)[()] == 0


def test_taken_and_returned_connections(pool: Engine) -> None:
    with pool.connect():
        assert states() == {"active": 1, "idle": 0, "overflow": 0, "max": 4}
        assert read(UTILIZATION)[()] == 0.25

    assert states() == {"active": 0, "idle": 1, "overflow": 0, "max": 4}


def test_overflow_is_active_and_goes_away(pool: Engine) -> None:
    connections = [pool.connect() for _ in range(4)]
    assert states() == {"active": 4, "idle": 0, "overflow": 2, "max": 4}
    assert read(UTILIZATION)[()] == 1
    with pytest.raises(TimeoutError):
        pool.connect()
    assert states()["active"] == 4

    for connection in connections:
        connection.close()

    assert states() == {"active": 0, "idle": 2, "overflow": 0, "max": 4}


def test_invalidated_connection_is_gone(pool: Engine) -> None:
    with pool.connect() as connection:
        connection.invalidate()
        assert states() == {"active": 0, "idle": 0, "overflow": 0, "max": 4}

    assert states() == {"active": 0, "idle": 0, "overflow": 0, "max": 4}
    with pool.connect():
        assert states()["active"] == 1


def test_detached_connection_is_gone_when_it_is_closed(pool: Engine) -> None:
    with pool.connect() as connection:
        connection.detach()

    assert states() == {"active": 0, "idle": 0, "overflow": 0, "max": 4}


def test_disposed_pool_is_empty_and_its_successor_is_measured(pool: Engine) -> None:
    with pool.connect():
        pass
    pool.dispose()
    assert states() == {"active": 0, "idle": 0, "overflow": 0, "max": 4}

    with pool.connect():
        assert states()["active"] == 1


def test_connection_that_was_never_closed_comes_back(pool: Engine) -> None:
    pool.raw_connection()

    assert states()["active"] == 0
