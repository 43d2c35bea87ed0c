"""Alerts that Alertmanager tells: kept while they fire, and for a day afterwards.

Alertmanager repeats what fires and tells the end once. So the same alert may come any number of
times, and from several Alertmanagers; it is known by its fingerprint and when it began. One that is
not repeated in time is believed no longer: its end was lost, it was silenced, or another one
inhibits it. Nothing in an alert is trusted: whoever may write a rule chooses the text.

The one that always fires is no alert here, but a heartbeat (see `heartbeat`).
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, or_, select, true
from sqlalchemy.orm import Session, with_expression

from app.domain.alerts.heartbeat import EVALUATED, WATCHDOG, Heartbeat
from app.domain.authorization import Action, Identity, may_in
from app.domain.paging import Page
from app.storage import Alert, Database, db_now, new_id, now, put_rows

KEPT = timedelta(days=1)
"""How long an alert that is over stays to be looked at."""
MAX_ALERTS = 2000
MAX_PAIRS, MAX_NAME, MAX_VALUE, MAX_URL = 64, 128, 2048, 2048
_SHOWN = 50  # in the console
_LOOKED_AT = ("labels", "annotations", "generator_url", "ends_at", "resolved", "heard_at")
_FIRING: ColumnElement[bool] = Alert.ends_at > db_now()
_WITH_FIRING = with_expression(Alert.firing, _FIRING)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Notice:
    """One alert of a notification; `ends_at` is none, or no moment of ours, while it fires."""

    fingerprint: str
    firing: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime | None
    generator_url: str

    @property
    def is_heartbeat(self) -> bool:
        """Whether it says that alerts arrive, and nothing else."""
        return self.labels.get("alertname") == WATCHDOG


@dataclass(frozen=True)
class Receipt:
    """How many alerts were taken in, there was no room for, and were left out beforehand.

    heartbeats: alerts that always fire, which are kept as no alert.
    """

    received: int
    dropped: int
    truncated: int
    heartbeats: int = 0


class Alerts:
    """The alerts; one that fires is believed for `expire` seconds after it was last told.

    Attributes: heartbeat (that of the way that they come).
    """

    def __init__(self, database: Database, expire: float, heartbeat: Heartbeat) -> None:
        self.heartbeat = heartbeat
        self._database = database
        self._expire = timedelta(seconds=expire)

    def receive(self, notices: Sequence[Notice], truncated: int = 0) -> Receipt:
        """Take in a notification; the same one again changes nothing but when it was heard.

        `truncated` is how many further alerts it did not tell of.
        Raises: StorageUnavailableError.
        """
        beats = [it for it in notices if it.is_heartbeat and it.firing]
        notices = [it for it in notices if not it.is_heartbeat]
        # In one order, so that two notifications at once do not wait for each other.
        keyed = {(notice.fingerprint, notice.starts_at): notice for notice in notices}
        with self._database.writing() as session:
            moment = now(session)
            if beats:
                told = max(it.annotations.get(EVALUATED, "") for it in beats)
                self.heartbeat.hear(session, _text(told, MAX_VALUE), moment)
            rows = [self._row(keyed[key], moment) for key in sorted(keyed)]
            session.execute(delete(Alert).where(Alert.ends_at < moment - KEPT))
            kept = _with_room(session, rows)
            put_rows(session, Alert, kept, key=("fingerprint", "starts_at"), changed=_LOOKED_AT)
        dropped = len(rows) - len(kept)
        if dropped:
            _log.warning("alerts dropped", extra={"dropped": dropped, "kept": MAX_ALERTS})
        if truncated:
            _log.warning("alerts truncated", extra={"truncated": truncated, "taken": len(notices)})
        firing = sum(notice.firing for notice in notices)
        # A heartbeat alone comes twice a minute, and would be most of what is logged.
        level = logging.INFO if notices or not beats else logging.DEBUG
        told_of = {"firing": firing, "resolved": len(notices) - firing}
        _log.log(level, "alerts received", extra=told_of)
        return Receipt(len(kept), dropped, truncated, len(beats))

    def list(self, identity: Identity, *, ended: bool, limit: int, offset: int) -> Page[Alert]:
        """Return what fires, newest first; with `ended`, also what did in the past day.

        Raises: PermissionDeniedError.
        """
        may_in(identity, Action.ALERT_READ)
        wanted: ColumnElement[bool] = true() if ended else _FIRING
        with self._database.reading() as session:
            total = session.scalar(select(func.count()).select_from(Alert).where(wanted)) or 0
            query = (
                select(Alert)
                .options(_WITH_FIRING)
                .where(wanted)
                .order_by(Alert.starts_at.desc(), Alert.id)
            )
            return Page(list(session.scalars(query.limit(limit).offset(offset))), total)

    def find(self, reference: str) -> Alert | None:
        """Return the alert of this fingerprint or name: one that fires before one that is over,
        the latest before others.

        Raises: StorageUnavailableError.
        """
        name = Alert.labels["alertname"].as_string()
        query = (
            select(Alert)
            .options(_WITH_FIRING)
            .where(or_(Alert.fingerprint == reference, name == reference))
            .order_by(_FIRING.desc(), Alert.starts_at.desc())
            .limit(1)
        )
        with self._database.reading() as session:
            found = session.scalars(query).first()
            session.expunge_all()
        return found

    def names(self) -> set[str]:
        """Return the names of those that fire or have within a day.

        Raises: StorageUnavailableError.
        """
        with self._database.reading() as session:
            found = session.scalars(select(Alert.labels["alertname"].as_string()).distinct())
            return {name for name in found if name}

    def firing(self) -> Sequence[Alert]:
        """Return what fires, as much of it as a strip can show.

        Raises: StorageUnavailableError.
        """
        query = select(Alert).options(_WITH_FIRING).where(_FIRING).order_by(Alert.starts_at.desc())
        with self._database.reading() as session:
            return list(session.scalars(query.limit(_SHOWN)))

    def _row(self, notice: Notice, moment: datetime) -> dict[str, object]:
        told = notice.ends_at
        if notice.firing:
            # Alertmanager sends the year 1 for an end that is not known.
            ends_at = moment + self._expire
            ends_at = min(told, ends_at) if told is not None and told > moment else ends_at
        else:
            ends_at = min(told, moment) if told is not None and told > notice.starts_at else moment
        return {
            "id": new_id(),
            "fingerprint": notice.fingerprint,
            "starts_at": notice.starts_at,
            "ends_at": ends_at,
            "resolved": not notice.firing,
            "heard_at": moment,
            "labels": _clipped(notice.labels),
            "annotations": _clipped(notice.annotations),
            "generator_url": _text(notice.generator_url, MAX_URL),
        }


def _with_room(session: Session, rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return the rows that are known already, and as many others as there is room for."""
    fingerprints = [row["fingerprint"] for row in rows]
    query = select(Alert.fingerprint, Alert.starts_at).where(Alert.fingerprint.in_(fingerprints))
    known = {(row.fingerprint, row.starts_at) for row in session.execute(query)}
    room = _room(session, len(rows) - len(known))
    kept = []
    for row in rows:
        is_known = (row["fingerprint"], row["starts_at"]) in known
        if is_known or room > 0:
            kept.append(row)
            room -= not is_known
    return kept


def _room(session: Session, wanted: int) -> int:
    """Return how many alerts may be added; what is over goes first where that is too few."""
    room = MAX_ALERTS - (session.scalar(select(func.count()).select_from(Alert)) or 0)
    if room < wanted:
        over = select(Alert.id).where(Alert.ends_at <= db_now()).order_by(Alert.ends_at)
        ids = list(session.scalars(over.limit(wanted - max(0, room))))
        session.execute(delete(Alert).where(Alert.id.in_(ids)))
        room += len(ids)
    return room


def _clipped(pairs: Mapping[str, str]) -> dict[str, str]:
    return {
        _text(name, MAX_NAME): _text(pairs[name], MAX_VALUE) for name in sorted(pairs)[:MAX_PAIRS]
    }


def _text(value: str, longest: int) -> str:
    """Return the text as the database can hold it: clipped, and PostgreSQL knows no NUL."""
    return value[:longest].replace("\x00", "\N{REPLACEMENT CHARACTER}")
