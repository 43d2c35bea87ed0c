"""What every process of the service measures, with or without requests: see `app.wiring`."""

import platform
from importlib.metadata import version

from app._version import __version__
from app.metrics import events
from app.metrics.catalogue import build_info, create_expected
from app.metrics.queries import init_engine
from app.storage import Database


def measure_process(database: Database, pool_limit: int) -> None:
    """Begin to count what signals tell, and to measure `database` and its pool."""
    create_expected()
    events.connect()
    init_engine(database.engine, pool_limit)
    build_info.child(
        __version__, platform.python_version(), version("gunicorn"), version("flask")
    ).set(1)
