"""What readiness and the doctor both look at, and how both say why something failed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.orm import Session

from app.core import deadline
from app.core.errors import (
    AgentMissingError,
    StorageBusyError,
    StorageError,
)
from app.storage import Database, sqlite_file
from app.storage.lease import agent_leads
from prefork_metrics.sqlalchemy import UNMEASURED


def look_for_agent(database: Database, seconds: float) -> None:
    """Return when an agent leads.

    Raises: AgentMissingError; StorageUnavailableError where the database does not say in time.
    """
    if not agent_leads(database, seconds):
        raise AgentMissingError


def reason(error: Exception) -> str:
    """Return for an operator what went wrong: of a database the next step, else its words."""
    if isinstance(error, StorageError) and error.for_operator:
        return f"{type(error).__name__}: {error.for_operator}"
    cause = f" ({error.__cause__})" if error.__cause__ is not None else ""
    return f"{type(error).__name__}: {error}{cause}"


def refuse_absent(database: Database) -> None:
    """Return where asking the database makes no new one.

    Raises: StorageRefusedError.
    """
    url = database.engine.url
    if url.get_backend_name() == "sqlite":
        sqlite_file.refuse_absent(Path(str(url.database)))


@contextmanager
def reading(database: Database) -> Iterator[Session]:
    """Read in a transaction that is not measured: whoever examines is no load of the service's.

    Raises: StorageError.
    """
    refuse_absent(database)
    with database.reading() as session:
        session.connection(execution_options=UNMEASURED)
        yield session


class Records:
    """What checks read of the database, one after the other.

    A worker's pool has a connection for each request that it may serve, and no more: an examination
    is one request, whatever goes on in it at once.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._turn = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """See `reading`. Raises: StorageError, also where others take too long."""
        if not self._turn.acquire(timeout=min(deadline.remaining(), threading.TIMEOUT_MAX)):
            raise StorageBusyError
        try:
            with reading(self.database) as session:
                yield session
        finally:
            self._turn.release()
