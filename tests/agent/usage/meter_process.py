"""A process that does nothing but read what containers use: an agent without its other work."""

import contextlib
import signal
import threading

from app.agent.usage.meter import Meter
from app.core.errors import EngineError, StorageError
from app.domain.usage.ledger import Ledger
from app.engine import DockerEngine
from app.storage import Database
from app.storage.fence import unfenced
from app.wiring import load_settings

INTERVAL = 0.2


def main() -> None:
    """Read until SIGTERM."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    settings = load_settings()
    database = Database(settings.database_url)
    engine = DockerEngine(settings.docker_host)
    meter = Meter(database, engine, Ledger(database, unfenced), 0, stopping.is_set)
    while not stopping.wait(INTERVAL):
        with contextlib.suppress(EngineError, StorageError):
            meter.run()
    meter.close(INTERVAL)
    engine.close()
    database.dispose()


if __name__ == "__main__":
    main()
