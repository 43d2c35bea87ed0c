"""The heartbeat of alerting: an alert that always fires, and whose absence tells that others can't.

The alert `Watchdog` comes the way of every other alert, again and again. What it tells is when
Prometheus evaluated it: an Alertmanager repeats for minutes what a Prometheus that has died said
last, so the same again is no beat. That one is missing is seen by whoever looks at the clock (the
database's), and told where no alerting is needed: metric, console, log, `vibebox doctor`.

While the service is stopped nobody hears it. So one that was not missing before is waited for again
from the start on: the start of all its processes, since one that is replaced must hide nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from app.domain.authorization import Action, Identity, may_in
from app.domain.heartbeat import alive_since
from app.storage import AlertHeartbeat, Database, insert_missing, now, put_rows

WATCHDOG = "Watchdog"
"""Name of the alert; monitoring/rules has it."""
EVALUATED = "evaluated_at"
"""The annotation of when Prometheus evaluated it; a Watchdog without one beats each time, but not
beside one that has it: it is of another Prometheus."""
NAME = "alertmanager"
_LONGEST = 64
_BEAT = ("evaluated", "beat_at", "link", "says", "next_step")


class State(StrEnum):
    """How it is with the heartbeat."""

    OFF = "off"
    """None is expected: no setting asks for alerts, or for their heartbeat."""
    WAITING = "waiting"
    """None has come yet, or none since the start, and it is not time to say so."""
    BEATING = "beating"
    MISSING = "missing"


@dataclass(frozen=True)
class Cut:
    """Where the chain is cut, what was seen of it, and the next step."""

    link: str
    says: str
    next_step: str


@dataclass(frozen=True)
class Pulse:
    """How the heartbeat is.

    Attributes: beat_at (of the last one; None where none has come), heard_at (when its alert was
    last told, new or not), age (seconds since the last beat; while one is waited for, since then),
    limit (seconds after which it is missing), cut (where the chain is cut, once somebody has
    looked).
    """

    state: State
    limit: float
    beat_at: datetime | None = None
    heard_at: datetime | None = None
    age: float | None = None
    cut: Cut | None = None


class Heartbeat:
    """Keeps the heartbeat; it is missing after `limit` seconds, and 0 expects none."""

    def __init__(self, database: Database, limit: float) -> None:
        self._database = database
        self._limit = limit

    def hear(self, session: Session, evaluated: str, moment: datetime) -> None:
        """Note that the alert was told, in the caller's transaction."""
        told = evaluated[:_LONGEST] or None
        before = session.get(AlertHeartbeat, NAME)
        known = None if before is None else before.evaluated
        # Beside one that says a time, one without is of another Prometheus.
        beats = known is None or (told is not None and told != known)
        row = {
            "name": NAME,
            "expected_since": moment,
            "heard_at": moment,
            "evaluated": told,
            "beat_at": moment,
        } | dict.fromkeys(("link", "says", "next_step"))
        changed = ("heard_at", *_BEAT) if beats else ("heard_at",)
        put_rows(session, AlertHeartbeat, [row], key=("name",), changed=changed)

    def read(self) -> Pulse:
        """Return how it is. Raises: StorageUnavailableError."""
        with self._database.reading() as session:
            return self.look(session)

    def read_for(self, identity: Identity) -> Pulse:
        """Return the same for an account: where the chain is cut, for operators only.

        Raises: PermissionDeniedError, StorageUnavailableError.
        """
        may_in(identity, Action.ALERT_READ)
        found = self.read()
        if identity.is_operator or found.cut is None:
            return found
        return Pulse(found.state, found.limit, found.beat_at, found.heard_at, found.age)

    def look(self, session: Session) -> Pulse:
        """Return how it is now, as the caller's session shows it."""
        row, moment = session.get(AlertHeartbeat, NAME), now(session)
        if not self._limit:
            return Pulse(State.OFF, 0.0)
        if row is None:
            return Pulse(State.WAITING, self._limit)
        # A time that is yet to come is as old as it is early: the clock was set back.
        age = abs((moment - (row.beat_at or row.expected_since)).total_seconds())
        state = State.BEATING if row.beat_at is not None else State.WAITING
        cut = None
        if age > self._limit:
            state = State.MISSING
            if row.link is not None:
                cut = Cut(row.link, row.says or "", row.next_step or "")
            elif (started := alive_since(session)) is not None:
                since_start = abs((moment - started).total_seconds())
                if since_start <= self._limit:
                    state, age = State.WAITING, since_start
        return Pulse(state, self._limit, row.beat_at, row.heard_at, age, cut)

    def expect(self, session: Session) -> None:
        """Begin to wait for it, where nobody has yet; in the caller's transaction."""
        row = {"name": NAME, "expected_since": now(session)}
        insert_missing(session, AlertHeartbeat, [row])

    def note(self, session: Session, cut: Cut) -> None:
        """Keep where the chain is cut, until the next beat; in the caller's transaction."""
        row = session.get(AlertHeartbeat, NAME)
        if row is not None:
            row.link, row.says, row.next_step = cut.link, cut.says, cut.next_step
