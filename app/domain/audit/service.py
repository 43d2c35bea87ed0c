"""Reads the audit log: everybody what concerns them, operators all of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, select

from app.domain.authorization import Action, Identity, Role, decide, may_in
from app.storage import AuditEntry, Database, Membership, Project, TeamRole


@dataclass(frozen=True)
class Filters:
    """Which entries; None leaves open. `actor` is an e-mail address."""

    team_id: str | None = None
    project_id: str | None = None
    actor: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """Yield them as conditions on `AuditEntry`; `since` is inside, `until` is not."""
        if self.team_id is not None:
            yield AuditEntry.team_id == self.team_id
        if self.project_id is not None:
            yield AuditEntry.project_id == self.project_id
        if self.actor is not None:
            yield func.lower(AuditEntry.actor) == self.actor.lower()
        if self.action is not None:
            yield AuditEntry.action == self.action
        if self.since is not None:
            yield AuditEntry.at >= self.since
        if self.until is not None:
            yield AuditEntry.at < self.until


@dataclass(frozen=True)
class Entries:
    """Entries, newest first; `cursor` asks for those after them, None when there are none."""

    items: list[AuditEntry]
    cursor: int | None


class AuditLog:
    """The readers' side of the audit log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(
        self, identity: Identity, filters: Filters, *, limit: int, cursor: int | None = None
    ) -> Entries:
        """Return the entries that the caller may see, from `cursor` on.

        What is written meanwhile moves no page: entries are numbered as they are made.
        Raises: PermissionDeniedError.
        """
        may_in(identity, Action.AUDIT_READ)
        query = select(AuditEntry).where(*filters.conditions())
        if not identity.is_operator:
            query = query.where(_concerns(identity))
        if cursor is not None:
            query = query.where(AuditEntry.id < cursor)
        newest = query.order_by(AuditEntry.id.desc())
        with self._database.reading() as session:
            # One more than asked for tells whether there is a next page.
            found = list(session.scalars(newest.limit(limit + 1)))
            session.expunge_all()
        items = found[:limit]
        return Entries(items, items[-1].id if len(found) > limit else None)


def _concerns(identity: Identity) -> ColumnElement[bool]:
    """Return the condition: one's own actions, and what happened where one may read the log."""
    roles = [role for role in TeamRole if decide(Action.AUDIT_READ, Role(role), identity.scopes)]
    teams = select(Membership.team_id).where(
        Membership.user_id == identity.user_id, Membership.role.in_(roles)
    )
    projects = select(Project.id).where(Project.owner_user_id == identity.user_id)
    return or_(
        AuditEntry.actor_id == identity.user_id,
        AuditEntry.team_id.in_(teams),
        AuditEntry.project_id.in_(projects),
    )
