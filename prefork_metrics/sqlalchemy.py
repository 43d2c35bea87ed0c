"""Measures SQL statements and the connection pool through SQLAlchemy's events.

from prefork_metrics.sqlalchemy import measure
measure(engine, metrics.registry)
"""

import re
import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import Connection, ExceptionContext, ExecutionContext
from sqlalchemy.pool import QueuePool

from prefork_metrics.family import OTHER
from prefork_metrics.registry import Registry
from prefork_metrics.values import Value, store

UNMEASURED = {"measured": False}
"""Execution option of statements that are not measured: those of probes and scrapes, say."""
_STARTED = "prefork_metrics.started"
_STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE)\s+\"?(\w+)", re.IGNORECASE)

ExemplarLabels = Callable[[], dict[str, str] | None]
"""Returns the labels of an exemplar for what is done now, None where nothing leads to it."""


Note = Callable[[str, str, float, str], None]
"""Told of each measured statement when it has ended: its operation, the table, its start by
time.perf_counter(), and the name of the exception that it raised, empty where it did not."""


def measure(
    engine: Engine,
    registry: Registry,
    limit: int | None = None,
    exemplar: ExemplarLabels = lambda: None,
    note: Note | None = None,
) -> None:
    """Measure the statements of `engine` and its pool, from now on.

    limit: connections that the pool may hold (default: what a QueuePool says of itself). Tables
    that statements are told apart by are the registry's `models`.
    """
    StatementMeter(engine, registry, exemplar, note)
    PoolMeter(engine.pool, registry, limit)


def classify(statement: str, models: frozenset[str]) -> tuple[str, str]:
    """Return the operation of SQL text, and the first table that it names, where that is one of
    `models`; else `other`."""
    operation = _STATEMENT.match(statement)
    table = _TABLE.search(statement)
    model = table.group(1) if table else OTHER
    return (
        operation.group(1).lower() if operation else OTHER,
        model if model in models else OTHER,
    )


class StatementMeter:
    """Observes each statement of an engine, failed ones too."""

    def __init__(
        self,
        engine: Engine,
        registry: Registry,
        exemplar: ExemplarLabels,
        note: Note | None = None,
    ) -> None:
        self._durations = registry.database.statement_duration
        models = frozenset(registry.models)
        self._classify = lru_cache(maxsize=1024)(partial(classify, models=models))
        self._exemplar = exemplar
        self._note = note
        event.listen(engine, "before_cursor_execute", self._before)
        event.listen(engine, "after_cursor_execute", self._after)
        event.listen(engine, "handle_error", self._failed)

    @staticmethod
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
        self,
        connection: Connection,
        _cursor: Any,
        statement: str,
        _parameters: Any,
        _context: ExecutionContext,
        _many: bool,
    ) -> None:
        self._observe(connection, statement)

    def _failed(self, context: ExceptionContext) -> None:
        if context.connection is not None and context.statement is not None:
            error = type(context.original_exception).__name__
            self._observe(context.connection, context.statement, error)

    def _observe(self, connection: Connection, statement: str, error: str = "") -> None:
        started = connection.info.pop(_STARTED, None)
        measured = connection.get_execution_options().get("measured", True)
        if started is not None and measured:
            seconds = time.perf_counter() - started
            kind = self._classify(statement)
            self._durations.child(*kind).observe(seconds, self._exemplar())
            if self._note is not None:
                self._note(*kind, started, error)


class PoolMeter:
    """Keeps the pool's gauges of this process.

    Counted from the pool's events: its own figures are in between two truths while a connection
    is handed over, and its overflow is negative while the pool is not yet filled.
    """

    def __init__(self, pool: Any, registry: Registry, limit: int | None = None) -> None:
        size, families = registry.database.pool_size, registry.database
        self._limit = limit or _limit(pool)
        self._size = pool.size() if isinstance(pool, QueuePool) else self._limit
        self._open: set[int] = set()
        self._active: set[int] = set()
        self._gauges: list[Value] = [
            gauge._value
            for gauge in (
                size.child("active"),
                size.child("idle"),
                size.child("overflow"),
                families.pool_utilization.child(),
            )
        ]
        event.listen(pool, "connect", self._connected)
        event.listen(pool, "close", self._closed)
        event.listen(pool, "close_detached", self._closed)
        event.listen(pool, "checkout", self._taken)
        event.listen(pool, "checkin", self._returned)
        size.child("max").set(self._limit)
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


def _limit(pool: Any) -> int:
    """Return how many connections a pool may hold; a QueuePool's overflow of -1 has no bound."""
    if isinstance(pool, QueuePool):
        return max(1, int(pool.size()) + max(0, int(pool._max_overflow)))
    return 1
