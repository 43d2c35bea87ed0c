"""New databases at the schema of this release, without the second that each migration takes.

The first database of a kind is migrated by the command that operators use; later ones are copies.
"""

import atexit
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from shutil import copy
from tempfile import NamedTemporaryFile

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor
from sqlalchemy.engine import URL, make_url

from tests.backends.programs import Program, ServiceError
from tests.backends.scratch import new_directory, remove_directory

_SECONDS = 60.0
_TEMPLATE = "vibebox_migrated"


def migrate(command: list[str], root: Path, env: Mapping[str, str]) -> None:
    """Run the command of an operator. Raises ServiceError with its output when it fails."""
    with NamedTemporaryFile("r") as output:
        program = Program(command, Path(output.name), env=env, cwd=root, warm=True)
        program.start()
        if program.wait(_SECONDS):
            raise ServiceError(f"migrate failed:\n{output.read()}")


def fill(command: list[str], root: Path, env: Mapping[str, str]) -> None:
    """Do as `migrate`, by a copy where the database is new."""
    url = make_url(env["DATABASE_URL"])
    if url.get_backend_name() == "sqlite":
        filled = _fill_file(command, root, Path(url.database or ""))
    else:
        filled = _fill_database(command, root, env, url)
    if not filled:
        migrate(command, root, env)


def _fill_file(command: list[str], root: Path, file: Path) -> bool:
    if file.exists() or not file.parent.is_dir():
        return False
    copy(_file(tuple(command), root), file)
    return True


@cache
def _file(command: tuple[str, ...], root: Path) -> Path:
    directory = new_directory("migrated")
    atexit.register(remove_directory, directory)
    file = directory / "vibebox.db"
    migrate([*command], root, {"DATABASE_URL": f"sqlite:///{file}"})
    return file


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


def _fill_database(command: list[str], root: Path, env: Mapping[str, str], url: URL) -> bool:
    """Make the database anew as a copy of a migrated one of its server, unless it is in use."""
    if not _is_empty(url):
        return False
    with _cursor(url, "postgres") as server:
        server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_TEMPLATE])
        if server.fetchone() is None:
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
            template = url.set(database=_TEMPLATE).render_as_string(hide_password=False)
            migrate(command, root, {**env, "DATABASE_URL": template})
        name = sql.Identifier(url.database or "")
        server.execute(sql.SQL("DROP DATABASE {}").format(name))
        server.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, sql.Identifier(_TEMPLATE))
        )
    return True
