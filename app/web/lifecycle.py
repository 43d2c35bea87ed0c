"""Where a process is in its life: starting, serving or draining."""

import time
from enum import StrEnum
from typing import Protocol


class Phase(StrEnum):
    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"


class Worker(Protocol):
    """What we read of gunicorn's worker: `alive` falls with SIGTERM, before it stops serving."""

    alive: bool


class Lifecycle:
    """The phase of this process and the uptime of the service.

    Starting lasts until the required health checks passed once: before that nobody knows whether
    the database has the right schema. Draining is read from gunicorn's worker itself, since a
    connection opened before SIGTERM may still bring a request.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._worker: Worker | None = None
        self._served = False

    def attach(self, worker: Worker, started: float | None) -> None:
        """Follow gunicorn's worker; `started`: when the server started (time.monotonic)."""
        self._worker = worker
        self._started = started or self._started

    def serve(self) -> None:
        """Note that the required checks have passed."""
        self._served = True

    @property
    def phase(self) -> Phase:
        if self._worker is not None and not self._worker.alive:
            return Phase.DRAINING
        return Phase.SERVING if self._served else Phase.STARTING

    def draining(self) -> bool:
        """Tell whether the process is about to end, so that what lasts long ends now."""
        return self.phase is Phase.DRAINING

    @property
    def uptime(self) -> float:
        """Seconds since the service started."""
        return time.monotonic() - self._started
