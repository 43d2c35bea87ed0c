"""Whether Docker Engine answers and can do its work."""

from app.engine import Engine
from app.trial import Trial

EVERY = 15.0
"""Seconds for which one trial of the engine's work stands; it makes a volume and removes it."""
PATIENCE = 10.0
"""Seconds that a trial may take of an engine that was well before: pulls keep its disk busy."""
_SHARE = 0.5


class DockerLook:
    """Asks whether the engine answers each time, and every few seconds whether it can work."""

    def __init__(self, engine: Engine, deadline: float) -> None:
        self._engine = engine
        self._deadline = deadline
        self._trial = Trial(
            "docker-trial", lambda: engine.verify(PATIENCE), every=EVERY, patience=PATIENCE
        )

    def __call__(self) -> None:
        """Return when it is well. Raises: EngineError; TimeoutError where its work has no end."""
        self._engine.ping(timeout=self._deadline)
        self._trial.verify(_SHARE * self._deadline)

    def close(self) -> None:
        """End the thread of the trials."""
        self._trial.close()
