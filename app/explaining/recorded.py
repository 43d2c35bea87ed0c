"""What the database knows beside an alert: addresses in the audit log, exits, states."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from app.storage import AuditEntry, ContainerExit, Database, Environment, db_now

_LEAST_SECONDS = 900.0
"""Refused sign-ins are noted up to a limit a minute: shorter windows may hold none."""
_MOST_ROWS = 50


class Recorded:
    """Reads them, whoever asks: see `app.explaining.service` for what a reader is shown.

    All raise StorageError.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def addresses(self, action: str, window: float) -> list[tuple[str, int]]:
        """Return the addresses that this was done from, the most often first."""
        # One entry tells of several where they were many.
        number = func.sum(func.coalesce(AuditEntry.details["times"].as_integer(), 1))
        query = (
            select(AuditEntry.address, number)
            .where(AuditEntry.action == action, AuditEntry.at >= _ago(window))
            .where(AuditEntry.address.is_not(None))
            .group_by(AuditEntry.address)
            .order_by(number.desc(), AuditEntry.address)
            .limit(_MOST_ROWS)
        )
        with self._database.reading() as session:
            return [(str(address), int(times)) for address, times in session.execute(query)]

    def exits(self, reason: str, window: float) -> list[tuple[str, int]]:
        """Return the environments that ended so, the most often and then the latest first."""
        number = func.count()
        query = (
            select(ContainerExit.environment_id, number)
            .where(
                ContainerExit.reason == reason,
                ContainerExit.exited_at >= _ago(window),
            )
            .group_by(ContainerExit.environment_id)
            .order_by(number.desc(), func.max(ContainerExit.exited_at).desc())
            .limit(_MOST_ROWS)
        )
        with self._database.reading() as session:
            return [(str(id), int(times)) for id, times in session.execute(query)]

    def in_status(self, status: str) -> list[tuple[str, int]]:
        """Return environments in this status with the exit that most of them share, the latest
        first, each with how many share it."""
        query = (
            select(Environment.id, Environment.exit_reason, Environment.exit_code)
            .where(Environment.status == status)
            .order_by(Environment.status_changed_at.desc())
            .limit(_MOST_ROWS)
        )
        with self._database.reading() as session:
            rows = [(str(id), (reason, code)) for id, reason, code in session.execute(query)]
        shared = [how for _, how in rows]
        most = max(shared, key=shared.count, default=None)
        return [(id, shared.count(how)) for id, how in rows if how == most]

    def environments(self, ids: Iterable[str]) -> list[Environment]:
        """Return those of the environments that there are."""
        query = select(Environment).where(Environment.id.in_(list(ids)))
        with self._database.reading() as session:
            found = list(session.scalars(query))
            session.expunge_all()
        return found


def _ago(window: float) -> Any:
    return db_now(timedelta(seconds=-max(window, _LEAST_SECONDS)))
