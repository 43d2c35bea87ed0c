"""A process that does nothing but take in logs: an agent without its other work, and without peers.

It follows every container there is. With DIES_BEFORE_TELLING=n in its environment it kills itself
right after the commit of its n-th batch, before the metric could follow.
"""

import os
import signal
import threading
from typing import NoReturn

from app.agent.log_intake.intake import LogIntake
from app.core.errors import EngineError
from app.domain.durable_counters import DurableCounters
from app.engine import DockerEngine
from app.metrics import events
from app.storage import Database, DurableCounter
from app.storage.fence import unfenced
from app.wiring import load_settings

DIRECTORY = "of-the-intake-process"
DEATH = "DIES_BEFORE_TELLING"
_INTERVAL = 0.2


class MortalCounters(DurableCounters):
    """Counts that are told nothing any more from some batch on."""

    def __init__(self, directory: str, batches: int) -> None:
        super().__init__(directory)
        self._batches = batches

    def tell(self, counter: DurableCounter, value: str, amount: int) -> None:
        """Die, or let the metric follow."""
        self._batches -= 1
        if self._batches == 0:
            _die()
        super().tell(counter, value, amount)


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemExit


def main() -> None:
    """Take in until SIGTERM."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    settings = load_settings()
    events.connect()
    database = Database(settings.database_url)
    engine = DockerEngine(settings.docker_host)
    counts = MortalCounters(DIRECTORY, int(os.environ.get(DEATH, 0)))
    intake = LogIntake(database, engine, counts, unfenced)
    while not stopping.wait(_INTERVAL):
        try:
            containers = engine.list_containers()
        except EngineError:
            continue
        for container in containers:
            if container.environment_id:
                intake.follow(container.environment_id, container.id)
    intake.close(10)
    engine.close()
    database.dispose()


if __name__ == "__main__":
    main()
