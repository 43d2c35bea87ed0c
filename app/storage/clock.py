"""The clock by which processes judge each other: the database's, never that of one of them.

On PostgreSQL it is the server's, whatever the hosts of the processes show. On SQLite, whose
processes share a host, it is the host's. What decides across processes (a lease, who lives, what
has expired, what is idle) is written and compared with `db_now()`; a moment of `utc_now()` is for
what is only shown. Nothing here is for what deletes: see `app.storage.cautious_clock`.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import literal, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from app.storage.models.base import UtcDateTime, utc_now

SQLITE_FUNCTION = "vibebox_now"
"""The function of one argument (seconds from now) that each SQLite connection is given."""

_NONE = timedelta(0)


class db_now(FunctionElement[datetime]):
    """The present moment of the database, or the one `offset` from it; for use in statements.

    It is read when the statement reaches it: after a wait for a row's lock, on PostgreSQL, and by
    each statement of a transaction anew.
    """

    inherit_cache = True
    type = UtcDateTime()

    def __init__(self, offset: timedelta = _NONE) -> None:
        super().__init__(literal(offset.total_seconds()))


@compiles(db_now, "postgresql")
def _of_postgresql(element: db_now, compiler: SQLCompiler, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"(clock_timestamp() + make_interval(secs => {seconds}))"


@compiles(db_now, "sqlite")
def _of_sqlite(element: db_now, compiler: SQLCompiler, **options: Any) -> str:
    return f"{SQLITE_FUNCTION}({compiler.process(element.clauses, **options)})"


def sqlite_moment(seconds: float) -> str:
    """Return the moment `seconds` from now as SQLite keeps moments: text in UTC."""
    moment = utc_now() + timedelta(seconds=seconds)
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def now(session: Session) -> datetime:
    """Return the present moment of the database, for what is compared in Python.

    Costs a statement; where one is made anyway, have it return `db_now()`.
    """
    return session.execute(select(db_now())).scalar_one()
