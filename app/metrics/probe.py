"""What is known of the synthetic user, read in the database at scrape time.

So it is the same whoever makes the rounds, and its age grows where nobody does.
"""

from collections.abc import Iterator
from math import inf
from typing import NamedTuple

from prometheus_client.core import Metric
from sqlalchemy.orm import Session

from app.metrics.catalogue import (
    NO_STEP,
    PROBE_STEPS,
    probe_failed_step,
    probe_interval,
    probe_success_age,
)
from app.storage.probe_state import state


class Probed(NamedTuple):
    """Where the last round failed, None where it did not; seconds since the last success, or since
    rounds are awaited."""

    step: str | None
    age: float


def read(session: Session) -> Probed:
    """Read it. Raises: StorageError."""
    found = state(session)
    step = None if found.last is None else found.last.step
    return Probed(step, inf if found.age is None else found.age)


def families(probed: Probed, interval: float) -> Iterator[Metric]:
    """Yield the families; `interval` is what the settings say of the time between rounds."""
    failed = probed.step or NO_STEP
    steps = (*PROBE_STEPS, NO_STEP)
    yield probe_failed_step.samples(((step,), float(step == failed)) for step in steps)
    yield probe_success_age.samples([((), probed.age)])
    yield probe_interval.samples([((), interval)])
