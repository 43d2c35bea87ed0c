"""Going on while the service is away for a moment, and saying so."""

import time

from app.cli.client import output
from app.cli.client.errors import AwayError, ClientError, ProblemError

PAUSE_SECONDS = 1.0


class Patience:
    """What a command that goes on for long does about failures that pass."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._away = False

    def bear(self, error: ClientError) -> None:
        """Say once that the service is away, and wait a moment. Raises: what does not pass."""
        if not (
            isinstance(error, AwayError) or (isinstance(error, ProblemError) and error.passing)
        ):
            raise error
        if not self._away:
            self._away = True
            output.note(f"{self._url} does not answer; trying again until it does.")
        time.sleep(PAUSE_SECONDS)

    def over(self) -> None:
        """Say that the service answers again, if it was away."""
        if self._away:
            self._away = False
            output.note(f"{self._url} answers again.")
