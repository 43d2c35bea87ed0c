"""A database that answers, and does not do what it is for: judged by what the trouble means."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from app.core.errors import (
    SchemaRevisionError,
    StorageBusyError,
    StorageDamagedError,
    StorageFullError,
    StorageReadOnlyError,
    StorageRefusedError,
)
from app.storage import Database, schema, writing
from tests.backends.postgresql import GUARDED, PostgreSQL
from tests.backends.programs import ServiceError, wait_until
from tests.backends.scratch import fill, mount_small, new_directory, remove_directory
from tests.conftest import require
from tests.storage.support import answer, user


@pytest.fixture(autouse=True)
def each_probe_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no change wait for long."""
    monkeypatch.setattr(writing, "PATIENCE", 0.5)


def write(database: Database) -> None:
    with database.writing() as session:
        session.execute(text("DELETE FROM users"))
        session.add(user())


def write_much(database: Database) -> None:
    """More than there is room for in what the database has already."""
    with database.writing() as session:
        for number in range(400):
            session.add(user(f"{number}@example.org"))
            session.execute(
                text(
                    "INSERT INTO audit_entries (at, actor, action, target_kind, details)"
                    " VALUES ('2026-01-01', :much, 'a', 'b', :json)"
                ),
                {"much": "x" * 200, "json": '"' + "y" * 8000 + '"'},
            )


# --- PostgreSQL -------------------------------------------------------------------------------


@pytest.fixture
def url(postgresql: PostgreSQL) -> str:
    return postgresql.new_database()


@pytest.mark.integration
def test_hot_standby_is_read_only_until_it_is_promoted(
    postgresql: PostgreSQL, database: Database, url: str
) -> None:
    with closing(PostgreSQL(primary=postgresql)) as standby:
        there = Database(standby.same(url))
        assert answer(there) == 1
        for use in (write, lambda database: database.probe(5)):
            with pytest.raises(StorageReadOnlyError) as caught:
                use(there)
            assert "target_session_attrs" in caught.value.reason
            assert "standby" not in caught.value.detail
        standby.execute("SELECT pg_promote()")
        there.probe(5)
        write(there)
        there.dispose()


@pytest.mark.integration
def test_database_that_is_read_only_by_default(
    postgresql: PostgreSQL, database: Database, url: str
) -> None:
    name = url.rpartition("/")[2]
    database.probe(5)
    postgresql.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    database.dispose()  # a setting of new connections
    for use in (write, lambda database: database.probe(5)):
        with pytest.raises(StorageReadOnlyError):
            use(database)


@pytest.fixture
def small_postgresql(postgresql: PostgreSQL) -> Iterator[PostgreSQL]:
    """A cluster on a disk that is nearly full already."""
    try:
        server = PostgreSQL(disk=80)
    except ServiceError as error:
        require("a disk to fill", str(error))
        raise
    with closing(server):
        yield server


@pytest.mark.integration
def test_full_disk_of_postgresql(small_postgresql: PostgreSQL) -> None:
    database = Database(small_postgresql.url)
    schema.upgrade(database)
    database.probe(5)
    assert small_postgresql.disk
    filler = fill(small_postgresql.disk)
    for use in (write_much, lambda database: database.probe(5)):
        with pytest.raises(StorageFullError) as caught:
            use(database)
        assert "full" in caught.value.reason
    filler.unlink()
    database.probe(5)
    write_much(database)
    database.dispose()


@pytest.mark.integration
def test_user_without_the_right_to_write(
    postgresql: PostgreSQL, database: Database, url: str
) -> None:
    name = url.rpartition("/")[2]
    postgresql.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {GUARDED}", name)
    barred = Database(guarded(url, "right"))
    for use in (write, lambda database: database.probe(5)):
        with pytest.raises(StorageRefusedError) as caught:
            use(barred)
        assert "permission denied for table" in caught.value.reason
    barred.dispose()


@pytest.mark.integration
def test_change_that_waits_is_no_fault_and_one_that_waits_for_long_is(
    postgresql: PostgreSQL, database: Database, url: str
) -> None:
    database.probe(5)
    with Database(url).writing() as holder:
        holder.execute(text("LOCK TABLE write_probes"))
        database.probe(0.2)
        with pytest.raises(StorageBusyError, match="busy") as caught:
            probe_until_it_fails(database)
        assert "lock" in caught.value.reason
    wait_until(lambda: passes(database), 10)


def probe_until_it_fails(database: Database) -> None:
    for _ in range(1000):
        database.probe(0.2)
        time.sleep(0.01)


def passes(database: Database) -> bool:
    try:
        database.probe(5)
    except StorageBusyError:
        return False
    return True


@pytest.mark.integration
@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("40001", StorageBusyError),
        ("40P01", StorageBusyError),
        ("53300", StorageBusyError),
        ("53200", StorageBusyError),
        ("55P03", StorageBusyError),
        ("53100", StorageFullError),
        ("58030", StorageDamagedError),
        ("XX001", StorageDamagedError),
        ("42P01", SchemaRevisionError),
        ("42703", SchemaRevisionError),
    ],
)
def test_errors_are_judged_by_their_state(
    empty_database: Database, state: str, error: type[Exception]
) -> None:
    with pytest.raises(error), empty_database.reading() as session:
        session.execute(text(f"DO $$ BEGIN RAISE 'told' USING ERRCODE = '{state}'; END $$"))


@pytest.mark.integration
def test_connections_that_an_administrator_ends(
    postgresql: PostgreSQL, database: Database, url: str
) -> None:
    name = url.rpartition("/")[2]
    ended = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    with pytest.raises(Exception, match="did not answer"), database.writing() as session:
        session.execute(text("SELECT 1"))
        postgresql.execute(ended)
        session.execute(text("SELECT 1"))
    assert answer(database) == 1


@pytest.mark.integration
def test_probes_leave_next_to_nothing_behind(postgresql: PostgreSQL, database: Database) -> None:
    for _ in range(500):
        database.probe(5)
    with database.reading() as session:
        assert session.scalar(text("SELECT count(*) FROM write_probes")) == 1
        assert session.scalar(text("SELECT pg_total_relation_size('write_probes')")) <= 65536


def guarded(url: str, password: str) -> str:
    return url.replace("vibebox@", f"{GUARDED}:{password}@")


# --- what an operator is told who connects --------------------------------------------------------


@pytest.mark.integration
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda url: guarded(url, "wrong"), "does not accept the password of user"),
        (lambda url: url.replace("vibebox@", f"{GUARDED}@"), "password of user"),
        (lambda url: url.replace("vibebox@", "nobody@"), 'has no user "nobody"'),
        (lambda url: url.rpartition("/")[0] + "/nowhere", 'has no database "nowhere"'),
        (lambda url: url.replace("127.0.0.1", "no-such-host.invalid"), "There is no host no-such"),
        (lambda url: url.rpartition(":")[0] + ":1/vibebox", "Nothing answers as PostgreSQL"),
        (lambda url: url + "?sslmode=require", "TLS"),
        (lambda url: url + "?nonsense=1", "has an option that PostgreSQL does not know"),
        (lambda url: url + "?sslmode=nonsense", "has an option that PostgreSQL does not know"),
    ],
)
def test_each_way_to_be_refused_is_told_with_the_next_step(
    postgresql: PostgreSQL, change: Callable[[str], str], told: str
) -> None:
    database = Database(change(postgresql.url))
    for use in (schema.current_revision, schema.upgrade, answer):
        with pytest.raises(Exception) as caught:
            use(database)
        reason = getattr(caught.value, "reason", repr(caught.value))
        assert told in reason
        assert "wrong" not in reason.replace("wrong_", "")
        assert "127.0.0.1" not in getattr(caught.value, "detail", "127.0.0.1")
    database.dispose()


@pytest.mark.integration
def test_migration_without_the_right_to_make_tables(postgresql: PostgreSQL, url: str) -> None:
    """What PostgreSQL has as its default since version 15."""
    database = Database(guarded(url, "right"))
    with pytest.raises(StorageRefusedError) as caught:
        schema.upgrade(database)
    assert "permission denied for schema public" in caught.value.reason
    assert f'GRANT USAGE, CREATE ON SCHEMA public TO "{GUARDED}"' in caught.value.reason
    name = url.rpartition("/")[2]
    postgresql.execute(f'GRANT USAGE, CREATE ON SCHEMA public TO "{GUARDED}"', name)
    schema.upgrade(database)
    database.probe(5)
    database.dispose()


# --- SQLite -----------------------------------------------------------------------------------


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory on a disk of 4 MiB, where there may be one."""
    scratch = new_directory("sqlite")
    try:
        mount_small(scratch / "disk", "4m")
    except ServiceError as error:
        remove_directory(scratch)
        require("a disk to fill", str(error))
    yield scratch / "disk"
    remove_directory(scratch)


@pytest.fixture
def file(directory: Path) -> Iterator[Database]:
    """A database in it."""
    database = Database(f"sqlite:///{directory}/vibebox.db")
    schema.upgrade(database)
    database.probe(5)
    yield database
    database.dispose()


def test_full_disk_of_sqlite(directory: Path, file: Database) -> None:
    filler = fill(directory)
    for use in (write_much, lambda database: database.probe(5)):
        with pytest.raises(StorageFullError) as caught:
            use(file)
        assert str(directory) in caught.value.reason
    filler.unlink()
    file.probe(5)


def test_file_system_that_becomes_read_only(directory: Path, file: Database) -> None:
    subprocess.run(["mount", "--bind", str(directory), str(directory)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(directory)], check=True)
    with pytest.raises(StorageReadOnlyError, match="takes no changes"):
        file.probe(5)
    file.dispose()
    for use in (write, lambda database: database.probe(5)):
        with pytest.raises((StorageReadOnlyError, StorageRefusedError)):
            use(file)


@pytest.mark.parametrize("what", ["deleted", "replaced"])
def test_file_that_others_do_not_see_any_more(directory: Path, file: Database, what: str) -> None:
    path = directory / "vibebox.db"
    copy = shutil.copy(path, directory / "copy.db")
    path.unlink()
    if what == "replaced":
        os.rename(copy, path)
    with pytest.raises(StorageRefusedError) as caught:
        file.probe(5)
    assert "restart" in caught.value.reason


def test_directory_in_which_nothing_may_be_made(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may: so the kernel's answer is given here."""

    def refuse(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    sqlite.probe(5)
    monkeypatch.setattr("app.storage.sqlite_file.allocate", refuse)
    with pytest.raises(StorageReadOnlyError):
        sqlite.probe(5)


def test_lock_that_is_held_for_a_moment_and_for_long(sqlite: Database, sqlite_url: str) -> None:
    sqlite.probe(5)
    holder = Database(sqlite_url)
    with holder.writing() as session:
        session.execute(text("SELECT 1"))
        sqlite.probe(0.2)
        with pytest.raises(StorageBusyError):
            probe_until_it_fails(sqlite)
    wait_until(lambda: passes(sqlite), 10)
    holder.dispose()


def test_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "vibebox.db"
    path.write_bytes(b"no database at all, " * 1000)
    database = Database(f"sqlite:///{path}")
    with pytest.raises(StorageDamagedError) as caught:
        schema.upgrade(database)
    assert str(path) in caught.value.reason
    database.dispose()


def test_table_that_is_missing(sqlite: Database) -> None:
    with pytest.raises(SchemaRevisionError) as caught, sqlite.reading() as session:
        session.execute(text("SELECT 1 FROM nowhere"))
    assert "vibebox migrate" in caught.value.reason
