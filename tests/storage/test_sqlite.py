"""SQLite with several processes and threads."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event, select, text

from app.core.errors import StorageUnavailableError
from app.storage import Database, Environment, schema
from app.storage.sqlite import SqliteBackend
from tests.storage.processes import together
from tests.storage.support import add_environment, user


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("foreign_keys", 1), ("busy_timeout", 5000), ("synchronous", 1)],
)
def test_connections_are_set_up(sqlite: Database, pragma: str, value: object) -> None:
    sqlite.probe(0.5)
    with sqlite.reading() as session:
        assert session.execute(text(f"PRAGMA {pragma}")).scalar_one() == value


@pytest.mark.integration
def test_four_writing_processes_lose_no_update(sqlite: Database, sqlite_url: str) -> None:
    with sqlite.writing() as session:
        add_environment(session)
    assert together(4, "increment", sqlite_url) == [0, 0, 0, 0]
    with sqlite.reading() as session:
        assert session.scalars(select(Environment.memory_limit_mb)).one() == 64 + 4 * 50


def test_threads_share_connections_and_lose_no_update(sqlite: Database) -> None:
    with sqlite.writing() as session:
        add_environment(session)

    def add(_: int) -> None:
        with sqlite.writing() as session:
            session.scalars(select(Environment)).one().memory_limit_mb += 1
        with sqlite.reading() as session:
            session.scalars(select(Environment)).one()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(200)))
    with sqlite.reading() as session:
        assert session.scalars(select(Environment.memory_limit_mb)).one() == 64 + 200


def test_reader_is_not_held_up_by_a_writer(sqlite: Database) -> None:
    sqlite.probe(5)
    with sqlite.writing() as writer, sqlite.reading() as reader:
        writer.add(user())
        writer.flush()
        assert reader.execute(text("SELECT count(*) FROM users")).scalar_one() == 0
        sqlite.probe(0.5)


def test_write_lock_that_is_not_released_is_reported_and_seen(
    sqlite_url: str, sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        SqliteBackend.__init__, "__kwdefaults__", {"busy_seconds": 0.05, "foreign_keys": True}
    )
    hasty = Database(sqlite_url)
    seen: list[BaseException] = []
    event.listen(
        hasty.engine, "handle_error", lambda context: seen.append(context.original_exception)
    )
    with sqlite.writing() as writer:
        writer.add(user())
        writer.flush()
        with pytest.raises(StorageUnavailableError) as caught, hasty.writing() as session:
            session.execute(text("SELECT 1"))
    assert "locked" in str(caught.value.__cause__) and "locked" not in caught.value.detail
    assert len(seen) == 1
    hasty.dispose()


def test_probe_gives_up_on_a_locked_file_in_time(tmp_path: Path) -> None:
    """Outside WAL mode an exclusive lock keeps readers out as well."""
    path = tmp_path / "vibebox.db"
    database = Database(f"sqlite:///{path}")
    schema.upgrade(database)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        database.dispose()
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        finished = threading.Event()

        def probe() -> None:
            with pytest.raises(StorageUnavailableError):
                database.probe(0.3)
            finished.set()

        thread = threading.Thread(target=probe)
        thread.start()
        # The busy time-out of ordinary work is 5 s.
        assert finished.wait(3)
        thread.join()
    database.probe(5)
    database.dispose()
