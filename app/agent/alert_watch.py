"""Misses the heartbeat of alerting: says so in the log, and keeps where the chain is cut.

Whether it is missing is seen by whoever looks at the clock. The leading agent looks for all of
them, asks each link once a round while it is, and tells what needs no alerting to arrive.
"""

import logging
from time import monotonic

from app.agent.leader.election import Term
from app.core import deadline
from app.core.settings import Settings
from app.doctor import chain
from app.domain.alerts.heartbeat import NAME, Cut, Heartbeat, Pulse, State
from app.storage import AlertHeartbeat, Database
from app.stores.build import Stores

ROUNDS = 6
"""How often it looks within the time after which a heartbeat is missing."""
_SHORTEST, _LONGEST = 0.5, 60.0
_REMIND = 1800.0
"""Seconds after which it is said again."""
_CHAIN_SECONDS = 5.0
_log = logging.getLogger(__name__)


def interval(settings: Settings) -> float | None:
    """Return the seconds between two looks; None where no heartbeat is expected."""
    if settings.alerts_token is None or not settings.alerts_heartbeat:
        return None
    return min(_LONGEST, max(_SHORTEST, settings.alerts_heartbeat / ROUNDS))


class AlertWatch:
    """Looks after the heartbeat in a term."""

    def __init__(
        self, database: Database, heartbeat: Heartbeat, stores: Stores, term: Term
    ) -> None:
        self._database = database
        self._heartbeat = heartbeat
        self._stores = stores
        self._term = term
        self._told: Cut | None = None
        self._told_at = 0.0

    def run(self) -> None:
        """Look once. Raises: StorageError, LeadershipLostError."""
        pulse = self._expected()
        if pulse.state is not State.MISSING:
            self._note_beat(pulse)
            return
        with deadline.within(_CHAIN_SECONDS):
            cut = chain.find(pulse, self._stores)
        if cut != pulse.cut:
            with self._database.writing() as session:
                self._term.fence(session)
                self._heartbeat.note(session, cut)
        self._tell(pulse, cut)

    def _expected(self) -> Pulse:
        with self._database.reading() as session:
            if session.get(AlertHeartbeat, NAME) is not None:
                return self._heartbeat.look(session)
        with self._database.writing() as session:
            self._term.fence(session)
            self._heartbeat.expect(session)
        return Pulse(State.WAITING, 0.0)

    def _note_beat(self, pulse: Pulse) -> None:
        if self._told is not None and pulse.state is State.BEATING:
            _log.info("alerting is heard again")
            self._told = None

    def _tell(self, pulse: Pulse, cut: Cut) -> None:
        """Say it at first, when another link is found, and now and then."""
        again = self._told is not None and self._told.link == cut.link
        if again and monotonic() - self._told_at < _REMIND:
            return
        self._told, self._told_at = cut, monotonic()
        silent = round(pulse.age or 0.0)
        extra = {"link": cut.link, "why": cut.says, "next_step": cut.next_step, "seconds": silent}
        _log.warning("alerting is silent", extra=extra)
