"""What accounts do to themselves: see and end logins, change the password."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, update

from app.core.errors import InvalidInputError, InvalidTokenError, LoginNotFoundError
from app.domain import audit
from app.domain.accounts.logins import end_login, end_logins
from app.domain.accounts.passwords import Passwords
from app.domain.authorization import Action, Identity, may_in
from app.domain.paging import Page
from app.storage import Database, EndReason, Login, User, db_now


@dataclass(frozen=True)
class LoginOf:
    """A login, as its owner sees it; `current`: it is the one that asks."""

    id: str
    kind: str | None
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    address: str | None
    user_agent: str | None
    current: bool


class Own:
    """Every method raises PermissionDeniedError to an API key."""

    def __init__(self, database: Database, passwords: Passwords) -> None:
        self._database = database
        self._passwords = passwords

    def list_logins(self, identity: Identity, *, limit: int, offset: int) -> Page[LoginOf]:
        """Return a page of the caller's logins that have not ended, last used first."""
        may_in(identity, Action.LOGIN_READ)
        mine = _alive(identity)
        columns = (
            Login.id,
            Login.kind,
            Login.created_at,
            Login.last_used_at,
            Login.expires_at,
            Login.address,
            Login.user_agent,
            Login.id == identity.grant_id,
        )
        last = Login.last_used_at.desc(), Login.id
        with self._database.reading() as session:
            total = session.scalar(select(func.count()).select_from(Login).where(mine)) or 0
            page = select(*columns).where(mine).order_by(*last).limit(limit).offset(offset)
            return Page([LoginOf(*row) for row in session.execute(page)], total)

    def end_login(self, identity: Identity, login_id: str) -> None:
        """End one of the caller's logins, and what it opened. Raises: LoginNotFoundError."""
        may_in(identity, Action.LOGIN_END)
        with self._database.writing() as session:
            mine = select(Login.id).where(Login.id == login_id, _alive(identity))
            if session.scalar(mine) is None or not end_login(session, login_id, EndReason.ENDED):
                raise LoginNotFoundError
            target = audit.Target("login", login_id)
            audit.record(session, identity, "login.end", target)

    def end_other_logins(self, identity: Identity) -> None:
        """End all logins of the caller but the one that asks."""
        may_in(identity, Action.LOGIN_END)
        with self._database.writing() as session:
            if end_logins(session, identity.user_id, EndReason.ENDED, keep=identity.grant_id):
                audit.record(session, identity, "login.end_others", _account(identity))

    def change_password(self, identity: Identity, old: str, new: str) -> None:
        """Change the caller's password, which ends all other logins.

        Raises: InvalidInputError where the old one is not right.
        """
        may_in(identity, Action.PASSWORD_CHANGE)
        with self._database.reading() as session:
            user = session.get(User, identity.user_id)
        if user is None:
            raise InvalidTokenError
        if not self._passwords.verify(user.password_hash, old):
            raise _not_right()
        hashed = self._passwords.hash(new)
        same = (User.id == user.id) & (User.password_hash == user.password_hash)
        with self._database.writing() as session:
            changed = update(User).where(same).values(password_hash=hashed)
            if session.scalar(changed.returning(User.id)) is None:
                raise _not_right()  # it was changed meanwhile
            end_logins(session, user.id, EndReason.PASSWORD, keep=identity.grant_id)
            audit.record(session, identity, "account.password_change", _account(identity))


def _alive(identity: Identity) -> ColumnElement[bool]:
    mine = Login.user_id == identity.user_id
    return mine & Login.ended_at.is_(None) & (Login.expires_at > db_now())


def _account(identity: Identity) -> audit.Target:
    return audit.Target("account", identity.user_id, identity.email)


def _not_right() -> InvalidInputError:
    return InvalidInputError(
        [{"field": "old_password", "message": "This is not your present password."}]
    )
