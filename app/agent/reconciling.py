"""The threads that compare records with Docker, as events and sweeps ask for it."""

import logging
import threading

from app.agent.dirty import Dirty
from app.agent.leadership import Term
from app.agent.leases import LeadershipLostError
from app.agent.quiet import Quiet
from app.environments.truth import Truth, Verdict

# A second one, so that one container that Docker is slow to describe does not hold up the others.
_THREADS = 2
_PASSING_SECONDS = 2.0
_TROUBLED_SECONDS = 1.0
_log = logging.getLogger(__name__)


class Reconciler:
    """Takes what is dirty and reconciles it, until the term is over."""

    def __init__(self, truth: Truth, dirty: Dirty, term: Term) -> None:
        self._truth = truth
        self._dirty = dirty
        self._term = term
        self._quiet = Quiet("reconcile", _log)

    def start(self) -> list[threading.Thread]:
        """Start the threads."""
        threads = [
            threading.Thread(target=self._run, name=f"reconcile-{number}", daemon=True)
            for number in range(_THREADS)
        ]
        for thread in threads:
            thread.start()
        return threads

    def _run(self) -> None:
        while (environment_id := self._dirty.take()) is not None:
            try:
                self._reconcile(environment_id)
            except LeadershipLostError:
                self._term.end()
                return
            finally:
                self._dirty.done(environment_id)

    def _reconcile(self, environment_id: str) -> None:
        verdict = None
        with self._quiet.attempt():
            verdict = self._truth.reconcile(environment_id)
        if verdict is Verdict.CHANGED:
            self._dirty.mark(environment_id)
        elif verdict is Verdict.PASSING:
            self._dirty.mark(environment_id, _PASSING_SECONDS)
        elif verdict is None and self._quiet.troubled:
            self._dirty.mark(environment_id, _TROUBLED_SECONDS)
