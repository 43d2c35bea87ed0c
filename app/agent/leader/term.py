"""Begins and ends the work of a term."""

import logging
import os
import threading
import time
from pathlib import Path

from app.agent import tasks
from app.agent.leader.election import Term
from app.agent.wiring import Parts, Work, build_work
from app.core import deadline
from app.core.errors import VibeBoxError
from app.domain.durable_counters import DurableCounters
from app.metrics.backfill import backfill, directory_identity
from app.storage import new_id

# Longer than most calls take; what still hangs then can change nothing any more (see `fence`).
_JOIN_SECONDS = 3.0
_DATABASE_SECONDS = 3.0
_log = logging.getLogger(__name__)


class Leader:
    """What this process does while it leads; one term at a time."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._work: Work | None = None
        self._threads: list[threading.Thread] = []

    def begin(self, term: Term) -> None:
        """Backfill what was not counted, then start the work. Raises: StorageError."""
        counts = DurableCounters(_identity())
        self._backfill(counts)
        with deadline.within(_DATABASE_SECONDS):
            self._parts.instance()
        work = self._work = build_work(self._parts, term, counts)
        self._threads = [work.follower.start(), *work.workers.start()]
        self._threads += [tasks.start(task, term) for task in work.tasks]

    def end(self, term: Term) -> None:
        """Wake everything up and wait a little until it has ended; `term` is over already."""
        work, self._work = self._work, None
        if work is None:
            return
        for task in work.tasks:
            if task.wanted is not None:
                task.wanted.set()
        work.queue.close()
        work.follower.close()
        work.logs.close()
        ends_at = time.monotonic() + _JOIN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, ends_at - time.monotonic()))
        hanging = [thread.name for thread in self._threads if thread.is_alive()]
        for task in work.tasks:
            left = task.close(max(0.0, ends_at - time.monotonic()))
            hanging += [f"{task.loop} {item}" for item in left]
        if hanging:
            _log.info("work of the term hangs", extra={"epoch": term.held.epoch, "work": hanging})

    def _backfill(self, counts: DurableCounters) -> None:
        with deadline.within(_DATABASE_SECONDS), self._parts.database.reading() as session:
            numbers = counts.all(session)
        try:
            missing = backfill(numbers)
        except (OSError, VibeBoxError) as error:
            _log.warning("counters are not made up", extra={"why": str(error)})
            return
        for (family, value), amount in missing.items():
            _log.info("made up", extra={"family": family, "value": value, "amount": amount})


def _identity() -> str:
    """Return the identity of the metrics directory; one of this term alone where it fails."""
    try:
        return directory_identity(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
    except (KeyError, OSError, VibeBoxError) as error:
        _log.warning("the metrics directory has no identity", extra={"why": str(error)})
        return new_id()
