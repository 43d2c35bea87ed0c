"""Ends what has expired and deletes what is old, in small steps."""

import logging
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, exists, select
from sqlalchemy.orm import InstrumentedAttribute

from app.agent.leadership import Term
from app.alerts.service import KEPT as _ALERTS_KEPT
from app.cautious_clock import CautiousClock
from app.environments.service import Environments
from app.errors import EnvironmentConflictError, EnvironmentNotFoundError
from app.storage import (
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
    SocketTicket,
)

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
_log = logging.getLogger(__name__)


class Housekeeping:
    """The leader's chores. Each may raise StorageError, EngineError and LeadershipLostError."""

    def __init__(
        self,
        database: Database,
        environments: Environments,
        term: Term,
        clock: CautiousClock,
        audit_days: float,
    ) -> None:
        self._database = database
        self._clock = clock
        self._environments = environments
        self._term = term
        self._audit_kept = timedelta(days=audit_days)

    def end_expired(self) -> None:
        """Delete the environments whose time is over, each with its container and volume."""
        now = self._clock.now()
        query = select(Environment.id).where(Environment.expires_at <= now).limit(_BATCH)
        with self._database.reading() as session:
            expired = list(session.scalars(query))
        for environment_id in expired:
            if self._term.over.is_set():
                return
            try:
                self._environments.expire(environment_id, now)
            except (EnvironmentConflictError, EnvironmentNotFoundError):
                continue  # somebody is changing it, or was quicker to delete it
            _log.info("expired environment deleted", extra={"environment": environment_id})

    def delete_old(self) -> None:
        """Delete the rows that nobody needs any more."""
        now = self._clock.now()
        current = exists().where(
            Environment.container_id == ContainerExit.container_id,
            Environment.run_started == ContainerExit.run_started,
        )
        self._delete(AuditEntry, AuditEntry.id, AuditEntry.at < now - self._audit_kept)
        # That of a container's last run keeps the run from being taken for a new exit.
        self._delete(
            ContainerExit,
            ContainerExit.container_id,
            ContainerExit.counted & (ContainerExit.exited_at < now - _EXITS_KEPT) & ~current,
        )
        self._delete(ImagePull, ImagePull.id, ImagePull.finished_at < now - _PULLS_KEPT)
        # Only one that has ended has a time of its end.
        old_session = EnvironmentSession.ended_at < now - _SESSIONS_KEPT
        self._delete(EnvironmentSession, EnvironmentSession.id, old_session)
        self._delete(SocketTicket, SocketTicket.id, SocketTicket.expires_at < now)
        self._delete(AuthToken, AuthToken.id, AuthToken.expires_at < now - _TOKENS_KEPT)
        of_a_month_ago = now - _LOGINS_KEPT
        over = (Login.ended_at < of_a_month_ago) | (Login.expires_at < of_a_month_ago)
        self._delete(Login, Login.id, over)
        old_invitation = Invitation.expires_at < now - _INVITATIONS_KEPT
        self._delete(Invitation, Invitation.id, old_invitation)
        self._delete(Alert, Alert.id, Alert.ends_at < now - _ALERTS_KEPT)
        self._delete(Process, Process.id, Process.seen_at < now - _PROCESSES_KEPT)
        self._delete(
            ClockReading, ClockReading.boot_id, ClockReading.seen_at < now - _READINGS_KEPT
        )

    def _delete(
        self,
        model: type[Base],
        key: InstrumentedAttribute[str] | InstrumentedAttribute[int],
        old: ColumnElement[bool],
    ) -> None:
        while not self._term.over.is_set():
            some = select(key).where(old).limit(_BATCH)
            with self._database.writing() as session:
                self._term.fence(session)
                found = list(session.scalars(some))
                if found:
                    session.execute(delete(model).where(key.in_(found), old))
            if len(found) < _BATCH:
                return
