"""A throw-away PostgreSQL cluster."""

import itertools
import os
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg2

from tests.backends.programs import Program, ServiceError, as_user, free_port
from tests.backends.scratch import mount_small, new_directory, remove_directory

READY_TIMEOUT = 30.0
SUPERUSER = "vibebox"
GUARDED = "guarded"
"""A user whom the server asks for a password, which is `right`."""
OWNER = "postgres"
"""Who runs the server when the tests run as root, which PostgreSQL refuses to be run by."""

# The data is thrown away: that it survives the machine would only cost time. What was committed
# survives the death of the server all the same (no synchronous_commit=off): tests kill it.
SPEED = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "200",
}


def server_program(name: str) -> str | None:
    """Find a server program. Debian keeps them, by version, outside of PATH."""
    versions = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    newest = max(versions, key=lambda path: float(path.parts[-3]), default=None)
    return str(newest) if newest else shutil.which(name)


class PostgreSQL:
    """A cluster of its own, trusting every connection from this host but those of `GUARDED`.

    `suspend` makes it hang: connections stay open, new ones are accepted by the kernel, nothing is
    answered. `stop` makes it refuse connections. Both are undone by `heal`. With `primary` it is a
    hot standby of that one. With `disk` it has a disk of so many MiB, which only root can give it.
    """

    def __init__(self, primary: "PostgreSQL | None" = None, disk: int | None = None) -> None:
        self._directory = new_directory("postgresql")
        self.disk = self._directory / "disk" if disk else None
        if self.disk:
            mount_small(self.disk, f"{disk}m")
        self._data = (self.disk or self._directory) / "data"
        self.log = self._directory / "log"
        self._numbers = itertools.count(1)
        self.port = free_port()
        self.url = self._url("vibebox")
        self._environment = {"HOME": "/tmp", "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        self._server = Program(
            self._server_command(),
            self.log,
            env=self._environment,
            cwd=Path("/"),
            user=OWNER,
            # A "fast" shutdown: the default one waits until the last client has left.
            stop_signal=signal.SIGINT,
        )
        try:
            self._copy(primary) if primary else self._initialise()
            self.start()
            if not primary:
                self._create_database("vibebox")
                self.execute(f"CREATE ROLE {GUARDED} LOGIN PASSWORD 'right'")
        except BaseException:
            self.close()
            raise

    @staticmethod
    def installed() -> str | None:
        """Return in words what is missing to run PostgreSQL here, or None."""
        if server_program("postgres") is None or server_program("initdb") is None:
            return "PostgreSQL's server programs are not installed"
        return None

    @property
    def pid(self) -> int:
        """Process id of the postmaster."""
        return self._server.pid

    def _url(self, database: str) -> str:
        return f"postgresql+psycopg2://{SUPERUSER}@127.0.0.1:{self.port}/{database}"

    def same(self, url: str) -> str:
        """Return the URL of the database that `url` names on another server."""
        return self._url(url.rpartition("/")[2])

    def _server_command(self) -> list[str]:
        settings = {"listen_addresses": "127.0.0.1", "port": str(self.port), **SPEED}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        program = server_program("postgres") or "postgres"
        return [program, "-D", str(self._data), "-k", str(self._data), *options]

    def _initialise(self) -> None:
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        self._make("initdb", "-U", SUPERUSER, "--wal-segsize=4", *options)
        rules = self._data / "pg_hba.conf"
        rules.write_text(f"host all {GUARDED} all scram-sha-256\n{rules.read_text()}")

    def _copy(self, primary: "PostgreSQL") -> None:
        source = ["-h", "127.0.0.1", "-p", str(primary.port), "-U", SUPERUSER]
        self._make("pg_basebackup", "-R", "--checkpoint=fast", "--no-sync", *source)

    def _make(self, program: str, *options: str) -> None:
        """Have a program fill the directory of the data."""
        self._data.mkdir(mode=0o700)
        command = [server_program(program) or program, "-D", str(self._data), *options]
        if os.geteuid() == 0:
            shutil.chown(self._data, OWNER, OWNER)
            command = [*as_user(OWNER), *command]
        result = subprocess.run(
            command,
            cwd="/",
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise ServiceError(f"{program} failed: {result.stdout}{result.stderr}")

    def start(self) -> None:
        """Start the server and wait until it answers; harmless when it runs."""
        if not self._server.running:
            self._server.start()
            self._server.wait_ready(self._answers, READY_TIMEOUT)

    def _answers(self) -> bool:
        try:
            self._connect("postgres").close()
        except psycopg2.OperationalError:
            return False
        return True

    def _connect(self, database: str) -> psycopg2.extensions.connection:
        connection = psycopg2.connect(
            host="127.0.0.1",
            port=self.port,
            user=SUPERUSER,
            dbname=database,
            connect_timeout=5,
            # Whatever a test has set for others.
            options="-c default_transaction_read_only=off",
        )
        connection.autocommit = True
        return connection

    def _create_database(self, name: str) -> None:
        self.execute(f'CREATE DATABASE "{name}"')

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run a statement as superuser, outside of a transaction."""
        connection = self._connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()

    def new_database(self) -> str:
        """Create an empty database and return its SQLAlchemy URL."""
        name = f"test_{next(self._numbers)}"
        self._create_database(name)
        return self._url(name)

    def stop(self) -> None:
        """Stop the server; it breaks off its connections and refuses new ones."""
        self._server.stop()

    def kill(self) -> None:
        """End the server without warning; the next `start` recovers."""
        self._server.kill()

    def suspend(self) -> None:
        """Freeze the server with all its backends."""
        self._server.suspend()

    def resume(self) -> None:
        """Undo `suspend`; harmless when the server is not suspended."""
        self._server.resume()

    def heal(self) -> None:
        """Make the server run and answer again, whatever a test did to it."""
        self.resume()
        self.start()

    def close(self) -> None:
        """Stop the server and remove everything that belongs to it."""
        self._server.stop()
        remove_directory(self._directory)
