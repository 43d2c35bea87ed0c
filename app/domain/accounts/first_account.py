"""The first account, of an operator, where nobody may register: a link that is printed once.

Whoever starts the service sees its output, and nobody else does. The link works once, for a day,
and while nobody has an account; of several servers that start at once one makes it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from app.domain import audit
from app.domain.accounts.invitations import FIRST, NewInvitation, is_open
from app.domain.accounts.tokens import digest, new_invitation
from app.storage import Database, Invitation, User, db_now, insert_missing, now

LIFE = timedelta(days=1)


@dataclass(frozen=True)
class Found:
    """What there was at a start: accounts, a link made just now, or one made before until then."""

    accounts: bool
    made: NewInvitation | None = None
    made_before: datetime | None = None


def offer(database: Database) -> Found:
    """Make the link where there is no account, unless one is out. Raises: StorageError."""
    with database.writing() as session:
        if session.scalar(select(exists().where(~User.is_synthetic))):
            return Found(accounts=True)
        made = _make(session)
        if made is not None:
            return Found(accounts=False, made=made)
        until = session.scalar(select(Invitation.expires_at).where(Invitation.id == FIRST))
        return Found(accounts=False, made_before=until)


def _make(session: Session) -> NewInvitation | None:
    """Write the invitation if there is none, or only one that is over."""
    moment, token = now(session), new_invitation()
    fresh = {
        "digest": digest(token),
        "operator": True,
        "created_at": moment,
        "expires_at": moment + LIFE,
        "used_at": None,
        "used_by": None,
        "revoked_at": None,
    }
    insert_missing(session, Invitation, [{"id": FIRST, **fresh}])
    # Of two at once the second waits here, and finds that of the first.
    another = (Invitation.digest != fresh["digest"]) & ~is_open()
    session.execute(update(Invitation).where(Invitation.id == FIRST, another).values(fresh))
    if session.scalar(select(Invitation.digest).where(Invitation.id == FIRST)) != fresh["digest"]:
        return None
    target = audit.Target("invitation", FIRST)
    audit.record(session, None, "invitation.create", target, operator=True)
    return NewInvitation(FIRST, token, moment + LIFE)


def withdraw(session: Session) -> None:
    """End the link, in the transaction that makes the first account in another way."""
    open_link = update(Invitation).where(Invitation.id == FIRST, Invitation.used_at.is_(None))
    session.execute(open_link.values(revoked_at=db_now()))
