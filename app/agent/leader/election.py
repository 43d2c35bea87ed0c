"""Several agents, one leads: wins the lease, keeps it, and frames the work of a term.

A term's threads start when the lease is won and end when it is lost. By its own monotonic clock,
which goes on while a process is frozen, a leader takes the lease for lost a little before anybody
else may win it: what it has not done by then is the next one's to do.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.orm import Session

from app.agent.leader.lease import Held, Leases, fence, is_held
from app.agent.pace import USUAL, Pace
from app.core import deadline
from app.core.errors import LeadershipLostError, StorageError
from app.core.isolation import Loop
from app.core.trace_context import task

# A database that hangs must not keep us from noticing that the lease runs out.
_DATABASE_SECONDS = 3.0
T = TypeVar("T")
_log = logging.getLogger(__name__)


class Term:
    """One time in the lead; threads of the leader look at `over` and end with it."""

    def __init__(self, held: Held, certain_until: float) -> None:
        self.held = held
        self.over = threading.Event()
        self.certain_until = certain_until

    @property
    def is_certain(self) -> bool:
        """Whether nobody else can lead yet: without it, tell nobody of what was stored."""
        return not self.over.is_set() and time.monotonic() < self.certain_until

    def fence(self, session: Session) -> None:
        """Let the transaction commit only in this term. Raises: LeadershipLostError."""
        if self.over.is_set():
            raise LeadershipLostError
        fence(session, self.held)

    def confirm(self, session: Session) -> None:
        """Do as `fence` but for the commit: somebody else may win the lead before that.

        For what the next leader writes anew anyway. Raises: LeadershipLostError.
        """
        if self.over.is_set() or not is_held(session, self.held):
            raise LeadershipLostError

    def end(self) -> None:
        """Give the lead up. The next term begins with a backfill of what this one may have left."""
        self.over.set()


class Leadership:
    """Contends for the lease in a thread. `begin` starts the work of a term, `end` awaits its end.

    Both take a few seconds at most. What `begin` raises ends the term; another one may begin.
    """

    def __init__(
        self,
        leases: Leases,
        begin: Callable[[Term], None],
        end: Callable[[Term], None],
        pace: Pace = USUAL,
    ) -> None:
        self._leases = leases
        self._pace = pace
        self._begin = begin
        self._end = end
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leadership", daemon=True)
        self._silent = False
        self._term: Term | None = None

    def start(self) -> None:
        """Begin to contend."""
        self._thread.start()

    def close(self) -> None:
        """End the term in good order and let the next agent lead at once."""
        self._closing.set()
        if self._term is not None:
            self._term.end()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            term = self._contend()
            if term is None:
                self._closing.wait(self._pace.contend)
                continue
            self._term = term
            self._serve(term)
            _log.info("leading no longer", extra={"epoch": term.held.epoch})

    def _serve(self, term: Term) -> None:
        try:
            self._begin(term)
            _log.info("leading", extra={"epoch": term.held.epoch})
            self._keep(term)
        except StorageError as error:
            _log.warning("the term cannot begin", extra={"why": _why(error)})
        except Exception:
            _log.exception("the term cannot begin")
        term.end()
        self._end(term)
        self._asking(lambda: self._leases.release(term.held))

    def _contend(self) -> Term | None:
        started = time.monotonic()
        held = self._asking(self._leases.win)
        return Term(held, self._certain_until(started)) if held else None

    def _keep(self, term: Term) -> None:
        """Return when the lease is lost, given up, or to be given up."""
        while not self._closing.is_set() and not term.over.wait(self._pace.renew):
            started = time.monotonic()
            kept = self._asking(lambda: self._leases.renew(term.held))
            if kept:
                term.certain_until = self._certain_until(started)
            elif kept is False or not term.is_certain:
                return

    def _certain_until(self, started: float) -> float:
        return started + self._pace.lease - self._pace.margin

    def _asking(self, ask: Callable[[], T]) -> T | None:
        """Return the database's answer; None where there is none."""
        try:
            with task(Loop.LEADERSHIP), deadline.within(_DATABASE_SECONDS):
                answer = ask()
        except StorageError as error:
            if not self._silent:
                _log.warning("leadership: the database is silent", extra={"why": _why(error)})
            self._silent = True
            return None
        except Exception:
            _log.exception("leadership: asking for the lease failed")
            return None
        if self._silent:
            _log.info("leadership: the database answers again")
        self._silent = False
        return answer


def _why(error: StorageError) -> str:
    return str(error.__cause__ or error)
