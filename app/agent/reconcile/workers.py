"""The threads that compare records with Docker, as events and sweeps ask for it."""

import threading

from app.agent.leader.election import Term
from app.agent.reconcile.queue import WorkQueue
from app.agent.reconcile.reconciler import Reconciler, Verdict
from app.core.errors import LeadershipLostError
from app.core.isolation import Isolation, Loop

# More than one, so that a container that Docker is slow to describe does not hold up the others.
_THREADS = 3
# As many of them take only what was well the last time.
_FOR_THE_WELL = 1
# Two inspections, and what is read and written.
_SECONDS = 20.0
_PASSING_SECONDS = 2.0


class ReconcileWorkers:
    """Takes what is queued and reconciles it, until the term is over."""

    def __init__(self, reconciler: Reconciler, queue: WorkQueue, term: Term) -> None:
        self._reconciler = reconciler
        self._queue = queue
        self._term = term
        self._isolation = Isolation(Loop.RECONCILE, _SECONDS)

    def start(self) -> list[threading.Thread]:
        """Start the threads."""
        threads = [
            threading.Thread(
                target=self._run,
                args=(number < _FOR_THE_WELL,),
                name=f"reconcile-{number}",
                daemon=True,
            )
            for number in range(_THREADS)
        ]
        for thread in threads:
            thread.start()
        return threads

    def _run(self, well_only: bool) -> None:
        avoided = self._isolation.is_troubled if well_only else None
        while (environment_id := self._queue.get(avoided)) is not None:
            try:
                self._reconcile(environment_id)
            except LeadershipLostError:
                self._term.end()
                return
            finally:
                self._queue.done(environment_id)

    def _reconcile(self, environment_id: str) -> None:
        found: list[Verdict] = []
        if not self._isolation.attempt(
            environment_id, lambda: found.append(self._reconciler.reconcile(environment_id))
        ):
            self._queue.add(environment_id, self._isolation.pause(environment_id))
        elif found == [Verdict.CHANGED]:
            self._queue.add(environment_id)
        elif found == [Verdict.PASSING]:
            self._queue.add(environment_id, _PASSING_SECONDS)
