"""The facade itself: which URLs it takes, what it shows of them, and when it does I/O."""

from pathlib import Path

import pytest

from app.core.errors import SettingsError, StorageUnavailableError
from app.storage import Database
from app.storage.pool import Pool
from tests.storage.support import answer


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_postgresql_urls_are_accepted_and_shown_without_password(scheme: str) -> None:
    database = Database(f"{scheme}://ada:secret@db.example/vibebox?sslpassword=secret")
    assert database.describe() == ("postgresql://ada:***@db.example/vibebox?sslpassword=hidden")
    assert "secret" not in repr(database.engine)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mysql://ada:secret@localhost/x",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?uri=true",
    ],
)
def test_unusable_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Database(url)
    assert "secret" not in str(caught.value)


def test_constructor_does_no_io(sqlite_url: str, tmp_path: Path) -> None:
    database = Database(sqlite_url)
    assert isinstance(database.engine.pool, Pool)
    assert list(tmp_path.iterdir()) == []


def test_directory_of_the_file_is_made_private(sqlite_url: str, tmp_path: Path) -> None:
    database = Database(sqlite_url)
    assert answer(database) == 1
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0
    database.dispose()


def test_file_is_found_again_after_a_change_of_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    database = Database("sqlite:///here.db")
    monkeypatch.chdir("/")
    assert answer(database) == 1
    assert (tmp_path / "here.db").exists()
    database.dispose()


def test_unusable_directory_is_reported_without_driver_text(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, no directory")
    database = Database(f"sqlite:///{tmp_path}/data/vibebox.db")
    with pytest.raises(StorageUnavailableError) as caught:
        answer(database)
    assert str(tmp_path) not in caught.value.detail


def test_file_that_is_no_database_is_reported(tmp_path: Path) -> None:
    (tmp_path / "vibebox.db").write_text("neither SQLite nor anything else" * 100)
    with pytest.raises(StorageUnavailableError):
        answer(Database(f"sqlite:///{tmp_path}/vibebox.db"))
