"""Logins as rows: opened by a sign-in, renewed with its tokens, ended for a reason.

Rows are locked in the order accounts, logins, tokens; whoever changes several keeps to it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.orm import Session

from app.storage import (
    AuthToken,
    EndReason,
    Login,
    LoginKind,
    db_now,
    insert_missing,
    new_id,
)

MOST = 100
"""Logins that an account may have at once: a script that never logs out has no more."""
# Each login makes one too many; after an upgrade there may be more.
_AT_ONCE = 20
_ADDRESS_SHOWN = 64
_USER_AGENT_SHOWN = 200


@dataclass(frozen=True)
class Device:
    """Where a login is used from, as far as its requests tell."""

    address: str | None = None
    user_agent: str | None = None

    def columns(self) -> dict[str, str | None]:
        """Return what a row keeps of it: a header may be of any length."""
        return {
            "address": (self.address or "")[:_ADDRESS_SHOWN] or None,
            # PostgreSQL stores no NUL; a list shows no control characters.
            "user_agent": "".join(filter(str.isprintable, self.user_agent or ""))[
                :_USER_AGENT_SHOWN
            ]
            or None,
        }


def open_login(
    session: Session,
    user_id: str,
    kind: LoginKind,
    device: Device,
    moment: datetime,
    life: timedelta,
    console_digest: str | None = None,
) -> str:
    """Write a new login, and return its id; `moment` is the database's present one."""
    login = Login(
        id=new_id(),
        user_id=user_id,
        kind=kind,
        created_at=moment,
        last_used_at=moment,
        expires_at=moment + life,
        console_digest=console_digest,
        **device.columns(),
    )
    session.add(login)
    session.flush()
    _end_surplus(session, user_id)
    return login.id


def _end_surplus(session: Session, user_id: str) -> None:
    """End what an account has more of than MOST logins: those used longest ago."""
    alive = (Login.user_id == user_id) & Login.ended_at.is_(None) & (Login.expires_at > db_now())
    last = select(Login.id).where(alive).order_by(Login.last_used_at.desc(), Login.id)
    for surplus in session.scalars(last.offset(MOST).limit(_AT_ONCE)).all():
        end_login(session, surplus, EndReason.SURPLUS)


def renew_login(
    session: Session,
    login_id: str,
    user_id: str,
    kind: LoginKind,
    device: Device,
    moment: datetime,
    life: timedelta,
    console_digest: str | None = None,
) -> bool:
    """Note that the login's tokens are renewed; False where it has ended, or is of another kind.

    Until the transaction ends nobody ends the login: who waits for that ends its new tokens too.
    """
    columns = {
        "kind": kind,
        "last_used_at": moment,
        "expires_at": moment + life,
        **device.columns(),
    }
    if console_digest is not None:
        columns["console_digest"] = console_digest
    of_kind = Login.kind.is_(None) | (Login.kind == kind)
    renewed = session.scalar(
        update(Login)
        .where(Login.id == login_id, Login.ended_at.is_(None), of_kind)
        .values(columns)
        .returning(Login.id)
    )
    if renewed is not None:
        return True
    if session.scalar(select(exists().where(Login.id == login_id))):
        return False
    # A release that knows no logins has opened it.
    row = {"id": login_id, "user_id": user_id, "created_at": moment, **columns}
    insert_missing(session, Login, [row])
    return True


def end_login(session: Session, login_id: str, reason: EndReason) -> bool:
    """End a login and revoke its tokens; tell whether it had not ended before."""
    return _end(session, Login.id == login_id, AuthToken.grant_id == login_id, reason)


def end_logins(
    session: Session, user_id: str, reason: EndReason, *, keep: str | None = None
) -> bool:
    """End all logins of an account but the one to `keep`; tell whether there was one to end."""
    logins, tokens = Login.user_id == user_id, AuthToken.user_id == user_id
    if keep is not None:
        logins, tokens = logins & (Login.id != keep), tokens & (AuthToken.grant_id != keep)
    return _end(session, logins, tokens, reason)


def _end(
    session: Session, logins: ColumnElement[bool], tokens: ColumnElement[bool], reason: EndReason
) -> bool:
    ended = session.scalars(
        update(Login)
        .where(logins, Login.ended_at.is_(None))
        .values(ended_at=db_now(), end_reason=reason)
        .returning(Login.id)
    ).all()
    # After the rows: what was renewed a moment ago is seen by now. And releases that know no
    # logins go by the tokens.
    revoked = session.scalars(
        update(AuthToken)
        .where(tokens, AuthToken.revoked_at.is_(None))
        .values(revoked_at=db_now())
        .returning(AuthToken.id)
    ).all()
    return bool(ended or revoked)
