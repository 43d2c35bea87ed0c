"""New databases at the schema of this release, without the second that each migration takes.

The first database of a kind is migrated by the command that operators use; later ones are copies.
"""

import atexit
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from shutil import copy
from tempfile import NamedTemporaryFile

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor
from sqlalchemy.engine import URL, make_url

from app.storage import Database, schema
from tests.backends.programs import Program, ServiceError
from tests.backends.scratch import new_directory, remove_directory

ROOT = Path(__file__).parents[2]
MIGRATE = [sys.executable, "-m", "app.cli", "migrate"]
_SECONDS = 60.0
_TEMPLATE = "vibebox_migrated"
_files: dict[tuple[str, ...], Path] = {}
Migrate = Callable[[str], None]
"""Brings the database of a URL to the schema of a release."""


def migrate(command: list[str], root: Path, env: Mapping[str, str]) -> None:
    """Run the command of an operator. Raises ServiceError with its output when it fails."""
    with NamedTemporaryFile("r") as output:
        program = Program(command, Path(output.name), env=env, cwd=root, warm=True)
        program.start()
        if program.wait(_SECONDS):
            raise ServiceError(f"migrate failed:\n{output.read()}")


def fill(command: list[str], root: Path, env: Mapping[str, str]) -> None:
    """Do as `migrate`, by a copy where the database is new."""

    def by_command(url: str) -> None:
        migrate(command, root, {**env, "DATABASE_URL": url})

    if not _copied(env["DATABASE_URL"], by_command, (*command, str(root))):
        migrate(command, root, env)


def at_head(url: str) -> str:
    """Bring a new database to the schema of this release, and return its URL."""
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite":
        Path(parts.database or "").parent.mkdir(parents=True, exist_ok=True)
    if not _copied(url, _upgrade, ()):
        _upgrade(url)
    return url


def _upgrade(url: str) -> None:
    database = Database(url)
    schema.upgrade(database)
    database.dispose()


def _copied(url: str, make: Migrate, whose: tuple[str, ...]) -> bool:
    """Make the database as a copy, where it is new; `whose` release it is."""
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite":
        return _copied_file(Path(parts.database or ""), make, whose)
    return _copied_database(parts, make)


def _copied_file(file: Path, make: Migrate, whose: tuple[str, ...]) -> bool:
    if file.exists() or not file.parent.is_dir():
        return False
    if whose not in _files:
        directory = new_directory("migrated")
        atexit.register(remove_directory, directory)
        make(f"sqlite:///{directory}/vibebox.db")
        _files[whose] = directory / "vibebox.db"
    copy(_files[whose], file)
    return True


@contextmanager
def _cursor(url: URL, database: str | None) -> Iterator[cursor]:
    """A cursor of a database of that server; each statement is a transaction of its own."""
    with closing(
        psycopg2.connect(
            host=url.host,
            port=url.port,
            user=url.username,
            password=url.password,
            dbname=database,
            connect_timeout=5,
        )
    ) as connection:
        connection.autocommit = True
        with connection.cursor() as opened:
            yield opened


def _is_empty(url: URL) -> bool:
    with _cursor(url, url.database) as looking:
        looking.execute("SELECT to_regclass('alembic_version')")
        return bool(looking.fetchone() == (None,))


def _copied_database(url: URL, make: Migrate) -> bool:
    """Make the database anew as a copy of a migrated one of its server, unless it is in use."""
    if not _is_empty(url):
        return False
    with _cursor(url, "postgres") as server:
        server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_TEMPLATE])
        if server.fetchone() is None:
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
            make(url.set(database=_TEMPLATE).render_as_string(hide_password=False))
        name = sql.Identifier(url.database or "")
        server.execute(sql.SQL("DROP DATABASE {}").format(name))
        server.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, sql.Identifier(_TEMPLATE))
        )
    return True
