"""Tells how a start came out, and how long it took from the moment it was accepted."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from app import signals
from app.errors import ExecutableMissingError, ImageMissingError, ImagePullError, PortTakenError
from app.storage import EnvironmentStatus, utc_now

SUCCESS, USER_ERROR, FAILURE = "success", "user_error", "failure"

# What the user asked for cannot be; anything else is a failure of Docker or VibeBox.
_OF_THE_USER = (ExecutableMissingError, ImageMissingError, ImagePullError, PortTakenError)


class Start:
    """A start under way: note in `status` what it has come to."""

    status: EnvironmentStatus | None = None


@contextmanager
def telling_start(accepted: datetime) -> Iterator[Start]:
    """Send `environment_started` at the end of the block, however it comes.

    By the clock of the day and not the monotonic one: a start that waits for its image is accepted
    by one process and finished by another.
    """
    start, outcome = Start(), FAILURE
    try:
        yield start
        outcome = SUCCESS if start.status is EnvironmentStatus.RUNNING else USER_ERROR
    except _OF_THE_USER:
        outcome = USER_ERROR
        raise
    finally:
        seconds = max(0.0, (utc_now() - accepted).total_seconds())
        signals.emit(signals.environment_started, outcome=outcome, seconds=seconds)
