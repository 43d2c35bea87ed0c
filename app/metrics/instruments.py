"""What every process of the service measures, whether or not it serves requests."""

import platform
from importlib.metadata import version

from app._version import __version__
from app.core.trace_context import SpanKind, current
from app.metrics import events
from app.metrics.catalogue import build_info, create_expected, registry
from app.metrics.exemplars import of_request
from app.storage import Database
from prefork_metrics.sqlalchemy import measure


def measure_process(database: Database, pool_limit: int, *, with_probe: bool = False) -> None:
    """Begin to count what signals tell, and to measure `database` and its pool.

    with_probe: whether the counters of the synthetic user are there before it has been.
    """
    create_expected(with_probe=with_probe)
    events.connect()
    measure(database.engine, registry, pool_limit, of_request, _note_statement)
    build_info.child(
        __version__, platform.python_version(), version("gunicorn"), version("flask")
    ).set(1)


def _note_statement(operation: str, table: str, started: float, error: str) -> None:
    """Note a statement in the trace of what runs it; nothing where there is none."""
    trace = current()
    if trace is not None:
        trace.note(SpanKind.STATEMENT, started, operation, table, error)
