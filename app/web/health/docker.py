"""Whether Docker Engine answers and can do its work."""

from app.core.trial import Trial
from app.engine import Engine

PATIENCE = 5.0
"""Seconds that a trial may take of an engine that was well before: pulls keep its disk busy."""
_SHARE = 0.5


class DockerLook:
    """Asks whether the engine answers each time, and every so often whether it can work.

    `every` is in seconds: each trial makes a volume and removes it.
    """

    def __init__(self, engine: Engine, deadline: float, every: float) -> None:
        self._engine = engine
        self._deadline = deadline
        self._trial = Trial(
            "docker-trial", lambda: engine.verify(PATIENCE), every=every, patience=PATIENCE
        )

    def __call__(self) -> None:
        """Return when it is well. Raises: EngineError; TimeoutError where its work has no end."""
        self._engine.ping(timeout=self._deadline)
        self._trial.verify(_SHARE * self._deadline)

    def close(self) -> None:
        """End the thread of the trials."""
        self._trial.close()
