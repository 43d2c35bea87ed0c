"""Measures SQL statements and the connection pool through SQLAlchemy's events."""

import re
import time
from functools import lru_cache
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import Connection, ExceptionContext, ExecutionContext
from sqlalchemy.pool import QueuePool

from app.metrics.catalogue import MODELS, db_pool_size, db_pool_utilization, db_query_duration
from app.metrics.exemplars import of_request
from app.metrics.family import OTHER
from app.metrics.values import Value, store

# Execution option of statements that probes and scrapes make: they are not measured.
UNMEASURED = {"measured": False}
_STARTED = "vibebox_statement_started"
_STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE)\s+\"?(\w+)", re.IGNORECASE)


def init_engine(engine: Engine, limit: int) -> None:
    """Measure the statements of `engine` and its pool, which may hold `limit` connections."""
    event.listen(engine, "before_cursor_execute", _before)
    event.listen(engine, "after_cursor_execute", _after)
    event.listen(engine, "handle_error", _failed)
    PoolMeter(engine.pool, limit)


@lru_cache(maxsize=1024)
def classify(statement: str) -> tuple[str, str]:
    """Return (operation, model) of SQL text; model is the first table it names, where we map it."""
    operation = _STATEMENT.match(statement)
    table = _TABLE.search(statement)
    model = table.group(1) if table else OTHER
    return (
        operation.group(1).lower() if operation else OTHER,
        model if model in MODELS else OTHER,
    )


def _before(
    connection: Connection,
    _cursor: Any,
    _statement: str,
    _parameters: Any,
    _context: ExecutionContext,
    _many: bool,
) -> None:
    connection.info[_STARTED] = time.perf_counter()


def _after(
    connection: Connection,
    _cursor: Any,
    statement: str,
    _parameters: Any,
    _context: ExecutionContext,
    _many: bool,
) -> None:
    _observe(connection, statement)


def _failed(context: ExceptionContext) -> None:
    if context.connection is not None and context.statement is not None:
        _observe(context.connection, context.statement)


def _observe(connection: Connection, statement: str) -> None:
    started = connection.info.pop(_STARTED, None)
    measured = connection.get_execution_options().get("measured", True)
    if started is not None and measured:
        seconds = time.perf_counter() - started
        db_query_duration.child(*classify(statement)).observe(seconds, of_request())


class PoolMeter:
    """Keeps the pool's gauges of this process.

    Counted from the pool's events: its own figures are in between two truths while a connection
    is handed over, and its overflow is negative while the pool is not yet filled.
    """

    def __init__(self, pool: Any, limit: int) -> None:
        self._limit = limit
        self._size = pool.size() if isinstance(pool, QueuePool) else limit
        self._open: set[int] = set()
        self._active: set[int] = set()
        self._gauges: list[Value] = [
            gauge._value
            for gauge in (
                db_pool_size.child("active"),
                db_pool_size.child("idle"),
                db_pool_size.child("overflow"),
                db_pool_utilization.child(),
            )
        ]
        event.listen(pool, "connect", self._connected)
        event.listen(pool, "close", self._closed)
        event.listen(pool, "close_detached", self._closed)
        event.listen(pool, "checkout", self._taken)
        event.listen(pool, "checkin", self._returned)
        db_pool_size.child("max").set(limit)
        with store.lock:
            self._publish()

    def _connected(self, connection: Any, _record: Any) -> None:
        with store.lock:
            self._open.add(id(connection))
            self._publish()

    def _closed(self, connection: Any, _record: Any = None) -> None:
        with store.lock:
            self._open.discard(id(connection))
            self._active.discard(id(connection))
            self._publish()

    def _taken(self, connection: Any, _record: Any, _proxy: Any) -> None:
        with store.lock:
            self._active.add(id(connection))
            self._publish()

    def _returned(self, connection: Any, _record: Any) -> None:
        # None: the connection was found broken and is gone already.
        if connection is not None:
            with store.lock:
                self._active.discard(id(connection))
                self._publish()

    def _publish(self) -> None:
        """Set all gauges at once: the store's lock, which is held, guards what is counted too."""
        number, total = len(self._active), len(self._open)
        active, idle, overflow, utilization = self._gauges
        active.put(number)
        idle.put(max(0, total - number))
        overflow.put(max(0, total - self._size))
        utilization.put(number / self._limit)
