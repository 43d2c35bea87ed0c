"""Invitations: links with which one account can be made, once."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, select, update
from sqlalchemy.orm import Session, aliased

from app.core.errors import InvalidInputError, InvitationNotFoundError, RegistrationClosedError
from app.domain import audit
from app.domain.accounts.tokens import digest, new_invitation
from app.domain.authorization import Action, Identity, may_in
from app.domain.paging import Page
from app.storage import Database, Invitation, User, db_now, new_id, now

LIFE = timedelta(days=7)
LONGEST = timedelta(days=90)
FIRST = "first-account"
"""The id of the one invitation to make the first account (see `first_account`)."""


class State(StrEnum):
    """What became of an invitation."""

    OPEN = "open"
    USED = "used"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True)
class InvitationOf:
    """An invitation, as operators see it; e-mail addresses of who made and who used it."""

    id: str
    email: str | None
    operator: bool
    state: State
    created_at: datetime
    expires_at: datetime
    created_by: str | None
    used_by: str | None


@dataclass(frozen=True)
class NewInvitation:
    """An invitation that was just made, with the secret that is never seen again."""

    id: str
    token: str
    expires_at: datetime

    @property
    def path(self) -> str:
        """The link, below the address of this VibeBox; no server and no proxy sees a fragment."""
        return f"/sign-in#invitation={self.token}"


class Invitations:
    """The rules of invitations; `closed`: whether operators may make none."""

    def __init__(self, database: Database, *, closed: bool) -> None:
        self._database = database
        self._closed = closed

    def create(
        self, identity: Identity, email: str | None, expires_at: datetime | None
    ) -> NewInvitation:
        """Make an invitation, for one address or for anybody.

        Raises: PermissionDeniedError, RegistrationClosedError, InvalidInputError.
        """
        may_in(identity, Action.ACCOUNT_CHANGE)
        if self._closed:
            raise RegistrationClosedError(
                "Registration is closed, to who is invited too; set VIBEBOX_REGISTRATION=invited, "
                "or make accounts with `vibebox accounts create`."
            )
        with self._database.writing() as session:
            return make(session, identity, email=email, expires_at=expires_at)

    def list(self, identity: Identity, *, limit: int, offset: int) -> Page[InvitationOf]:
        """Return a page of all invitations, newest first. Raises: PermissionDeniedError."""
        may_in(identity, Action.ACCOUNT_READ)
        with self._database.reading() as session:
            total = session.scalar(select(func.count()).select_from(Invitation)) or 0
            newest = Invitation.created_at.desc(), Invitation.id.desc()
            page = _rows().order_by(*newest).limit(limit).offset(offset)
            return Page([InvitationOf(*row) for row in session.execute(page)], total)

    def revoke(self, identity: Identity, invitation_id: str) -> None:
        """End an invitation that nobody has used.

        Raises: PermissionDeniedError, InvitationNotFoundError.
        """
        may_in(identity, Action.ACCOUNT_CHANGE)
        with self._database.writing() as session:
            revoked = session.execute(
                update(Invitation)
                .where(Invitation.id == invitation_id, is_open())
                .values(revoked_at=db_now())
                .returning(Invitation.id, Invitation.email)
            ).one_or_none()
            if revoked is None:
                raise InvitationNotFoundError
            target = audit.Target("invitation", revoked.id, revoked.email)
            audit.record(session, identity, "invitation.revoke", target)


def make(
    session: Session,
    identity: Identity | None,
    *,
    email: str | None = None,
    operator: bool = False,
    expires_at: datetime | None = None,
) -> NewInvitation:
    """Write an invitation in the caller's transaction; `identity` None is the command line.

    Raises: InvalidInputError where it would be over already, or last for too long.
    """
    moment = now(session)
    expires_at = expires_at or moment + LIFE
    if not moment < expires_at <= moment + LONGEST:
        message = f"Name a moment within the next {LONGEST.days} days."
        raise InvalidInputError([{"field": "expires_at", "message": message}])
    token = new_invitation()
    invitation = Invitation(
        id=new_id(),
        digest=digest(token),
        email=email,
        operator=operator,
        created_by=identity.user_id if identity else None,
        created_at=moment,
        expires_at=expires_at,
    )
    session.add(invitation)
    target = audit.Target("invitation", invitation.id, email)
    audit.record(session, identity, "invitation.create", target, operator=operator)
    return NewInvitation(invitation.id, token, expires_at)


def is_open() -> ColumnElement[bool]:
    """Return the condition on `Invitation` that it can be used.

    That to make the first account is void as soon as there is one, however it was made.
    """
    first = and_(Invitation.id == FIRST, exists().where(~User.is_synthetic))
    unused = and_(Invitation.used_at.is_(None), Invitation.revoked_at.is_(None))
    return and_(unused, Invitation.expires_at > db_now(), ~first)


def revoke_those_of(session: Session, user_id: str) -> None:
    """End the unused invitations that an account has made."""
    session.execute(
        update(Invitation)
        .where(Invitation.created_by == user_id, is_open())
        .values(revoked_at=db_now())
    )


def _rows() -> Select[*tuple[Any, ...]]:
    made, used = aliased(User), aliased(User)
    state = case(
        (Invitation.used_at.is_not(None), State.USED),
        (Invitation.revoked_at.is_not(None), State.REVOKED),
        (is_open(), State.OPEN),
        else_=State.EXPIRED,
    )
    return (
        select(
            Invitation.id,
            Invitation.email,
            Invitation.operator,
            state,
            Invitation.created_at,
            Invitation.expires_at,
            made.email,
            used.email,
        )
        .outerjoin(made, made.id == Invitation.created_by)
        .outerjoin(used, used.id == Invitation.used_by)
    )
