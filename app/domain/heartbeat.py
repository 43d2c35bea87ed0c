"""Which processes of the service live, as the database knows it.

Who holds an environment in transition (starting, stopping) is recorded with it. A process that is
not seen for `STALE` seconds is dead, or cut off from the database, which comes to the same: its end
of the transition will change nothing (see `environments.transitions`), and the agent heals it.
The clock is the database's: those of the hosts may differ.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count

from sqlalchemy import ColumnElement, ScalarSelect, delete, func, select, update
from sqlalchemy.orm import Session

from app.core.errors import StorageError
from app.core.isolation import Loop, failed
from app.core.items import Items
from app.storage import Database, Process, db_now, insert_missing, new_id, now
from app.storage.cautious_clock import CautiousClock

# Shorter costs more writes; longer leaves what a killed process held unhealed for longer.
STALE = timedelta(seconds=20)
_INTERVAL_SECONDS = 5.0
_CALL_SECONDS = 10.0
# Every so many times it is also kept what the clock shows, for who may know no better one.
_CLOCK_EVERY = 12
_log = logging.getLogger(__name__)


class Heartbeat:
    """This process among those that live; make it after fork.

    Attributes: id; on_seen (called in the thread of the heartbeat whenever the database answered).
    """

    def __init__(self, database: Database, place: str = "web") -> None:
        self.id = new_id()
        self.on_seen: list[Callable[[], None]] = []
        self._database = database
        self._clock = CautiousClock(database)
        self._calls = Items(Loop.PRESENCE, seconds=_CALL_SECONDS)
        self._place = place
        self._known = False
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Tell every few seconds that the process lives."""
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Sign off, so that nobody waits for a process that ended in good order."""
        self._stopped.set()
        if self._thread is None:
            return
        self._thread.join()
        try:
            with self._database.writing() as session:
                session.execute(delete(Process).where(Process.id == self.id))
        except StorageError:
            _log.info("not signed off; the process counts as dead soon")

    def ensure(self, session: Session) -> str:
        """Return the id, which stands in the table from this transaction on."""
        if not self._known:
            self._see(session)
        return self.id

    def _run(self) -> None:
        for turn in count():
            try:
                with self._database.writing() as session:
                    self._see(session)
                self._known = True
                if turn % _CLOCK_EVERY == 0:
                    self._clock.now()
                self._call_back()
            except StorageError:
                # The health check tells of the database; here it means to try again.
                _log.debug("heartbeat not renewed")
            except Exception:
                failed(Loop.PRESENCE)
                _log.exception("heartbeat not renewed")
            if self._stopped.wait(_INTERVAL_SECONDS):
                return

    def _call_back(self) -> None:
        """Call each, whatever becomes of the others."""
        calls = {str(number): call for number, call in enumerate(self.on_seen)}
        self._calls.go_through(calls, lambda name: calls[name]())

    def _see(self, session: Session) -> None:
        seen = update(Process).where(Process.id == self.id).values(seen_at=db_now())
        if session.execute(seen.returning(Process.id)).first() is None:
            # A request that begins the first transition may do so at the same moment.
            moment = now(session)
            row = {"id": self.id, "place": self._place, "started_at": moment, "seen_at": moment}
            insert_missing(session, Process, [row])


def is_alive() -> ColumnElement[bool]:
    """Return the condition that a process lives: seen of late, and not at a time yet to come.

    Where the clock was set back, those who live tell so again within seconds.
    """
    return (Process.seen_at > db_now(-STALE)) & (Process.seen_at <= db_now(STALE))


def alive_since(session: Session) -> datetime | None:
    """Return when the oldest process that lives has started; None where none lives."""
    return session.scalar(select(func.min(Process.started_at)).where(is_alive()))


def alive() -> ScalarSelect[str]:
    """Return the ids of the processes that live, for use in a query."""
    return select(Process.id).where(is_alive()).scalar_subquery()
