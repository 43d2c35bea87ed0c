"""Ends what has expired and deletes what is old, in small steps."""

import logging
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, delete, exists, or_, select

from app.agent.leader.election import Term
from app.core.errors import EnvironmentConflictError, EnvironmentNotFoundError
from app.core.isolation import Loop
from app.core.items import Items
from app.domain.alerts.service import KEPT as _ALERTS_KEPT
from app.domain.environments.service import Environments
from app.storage import (
    AgentReport,
    Alert,
    AuditEntry,
    AuthToken,
    Base,
    ClockReading,
    ContainerExit,
    Database,
    Environment,
    EnvironmentSession,
    ImagePull,
    Invitation,
    Login,
    Process,
    Report,
    SocketTicket,
    User,
)
from app.storage.cautious_clock import CautiousClock

# Small enough that nobody waits for the rows, or on SQLite for the one write lock.
_BATCH = 500
_EXITS_KEPT = timedelta(days=7)
_PULLS_KEPT = timedelta(days=1)
_PROCESSES_KEPT = timedelta(days=1)
_SESSIONS_KEPT = timedelta(days=7)
# Long after they are good no more: a clock that is set by an hour and back costs no login.
_TOKENS_KEPT = timedelta(days=1)
# For the list, and to know a device that logs in again.
_LOGINS_KEPT = timedelta(days=30)
_INVITATIONS_KEPT = timedelta(days=30)
_READINGS_KEPT = timedelta(days=2)
_SYNTHETIC_KEPT = timedelta(days=7)
# Docker may take two minutes to remove a container, and as long for its volume.
_EXPIRY_SECONDS = 300.0
_EXPIRIES = 4
_TABLE_SECONDS = 60.0
_log = logging.getLogger(__name__)


class _Old(NamedTuple):
    """The rows of a table that are old, and the column by which some of them are named."""

    model: type[Base]
    key: Any
    condition: ColumnElement[bool]


class Housekeeping:
    """The leader's chores."""

    def __init__(
        self,
        database: Database,
        environments: Environments,
        term: Term,
        clock: CautiousClock,
        audit_days: float,
        *,
        probes: bool,
    ) -> None:
        """`probes`: whether the synthetic user is on."""
        self._database = database
        self._clock = clock
        self._environments = environments
        self._term = term
        self._audit_kept = timedelta(days=audit_days)
        self._probes = probes
        self._expired = Items(
            Loop.EXPIRED, seconds=_EXPIRY_SECONDS, at_once=_EXPIRIES, on_lost=term.end
        )
        self._tables = Items(Loop.HOUSEKEEPING, seconds=_TABLE_SECONDS)

    def end_expired(self) -> None:
        """Begin to delete the environments whose time is over, with container and volume.

        Returns at once; call it again for what is left. Raises: StorageError.
        """
        now = self._clock.now()
        query = select(Environment.id).where(Environment.expires_at <= now)
        with self._database.reading() as session:
            expired = list(session.scalars(query))
        self._expired.begin(expired, lambda environment_id: self._expire(environment_id, now))

    def close(self, seconds: float) -> list[str]:
        """Delete no environment any more; return those that are being deleted all the same."""
        return self._expired.close(seconds)

    def delete_old(self) -> None:
        """Delete the rows that nobody needs any more. Raises: StorageError, LeadershipLostError."""
        old = {rows.model.__tablename__: rows for rows in self._old(self._clock.now())}
        over = self._term.over.is_set
        self._tables.go_through(old, lambda table: self._delete(old[table]), over)

    def _expire(self, environment_id: str, now: datetime) -> None:
        try:
            self._environments.expire(environment_id, now)
        except (EnvironmentConflictError, EnvironmentNotFoundError):
            return  # somebody is changing it, or was quicker to delete it
        _log.info("expired environment deleted", extra={"environment": environment_id})

    def _old(self, now: datetime) -> list[_Old]:
        """Return what is old by now, in each table."""
        current = exists().where(
            Environment.container_id == ContainerExit.container_id,
            Environment.run_started == ContainerExit.run_started,
        )
        # That of a container's last run keeps the run from being taken for a new exit.
        old_exit = ContainerExit.counted & (ContainerExit.exited_at < now - _EXITS_KEPT) & ~current
        # Only one that has ended has a time of its end.
        old_session = EnvironmentSession.ended_at < now - _SESSIONS_KEPT
        old_reading = ClockReading.seen_at < now - _READINGS_KEPT
        of_a_month_ago = now - _LOGINS_KEPT
        old_login = (Login.ended_at < of_a_month_ago) | (Login.expires_at < of_a_month_ago)
        old_invitation = Invitation.expires_at < now - _INVITATIONS_KEPT
        return [
            _Old(AuditEntry, AuditEntry.id, self._old_entries(now)),
            _Old(ContainerExit, ContainerExit.container_id, old_exit),
            _Old(ImagePull, ImagePull.id, ImagePull.finished_at < now - _PULLS_KEPT),
            _Old(EnvironmentSession, EnvironmentSession.id, old_session),
            _Old(SocketTicket, SocketTicket.id, SocketTicket.expires_at < now),
            _Old(AuthToken, AuthToken.id, AuthToken.expires_at < now - _TOKENS_KEPT),
            _Old(Login, Login.id, old_login),
            _Old(Invitation, Invitation.id, old_invitation),
            _Old(Alert, Alert.id, Alert.ends_at < now - _ALERTS_KEPT),
            _Old(Process, Process.id, Process.seen_at < now - _PROCESSES_KEPT),
            _Old(ClockReading, ClockReading.boot_id, old_reading),
            *self._awaited(),
        ]

    def _awaited(self) -> list[_Old]:
        """Return since when rounds of a synthetic user are awaited that is off: else they would be
        missed as soon as it is on again."""
        if self._probes:
            return []
        return [_Old(AgentReport, AgentReport.name, AgentReport.name == Report.PROBE)]

    def _old_entries(self, now: datetime) -> ColumnElement[bool]:
        """Return the entries that are old: of synthetic accounts, which make hundreds a day, soon.

        Their ids are named, so that a database which is asked for them has an index to go by.
        """
        old = AuditEntry.at < now - self._audit_kept
        with self._database.reading() as session:
            synthetic = session.scalars(select(User.id).where(User.is_synthetic)).all()
        if not synthetic:
            return old
        theirs = AuditEntry.actor_id.in_(synthetic)
        return or_(old, theirs & (AuditEntry.at < now - _SYNTHETIC_KEPT))

    def _delete(self, rows: _Old) -> None:
        """Delete the rows, some at a time."""
        while not self._term.over.is_set():
            some = select(rows.key).where(rows.condition).limit(_BATCH)
            with self._database.writing() as session:
                self._term.fence(session)
                found = list(session.scalars(some))
                if found:
                    gone = rows.key.in_(found), rows.condition
                    session.execute(delete(rows.model).where(*gone))
            if len(found) < _BATCH:
                return
