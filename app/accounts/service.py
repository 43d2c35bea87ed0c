"""Accounts: registration, logins, and the tokens that a login gives.

A login is a grant. Its access token is short-lived; its refresh token works once and gives the
next pair. A refresh token that is used a second time was stolen from, or by, somebody: the whole
grant is then revoked (RFC 9700, section 4.14.2).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app import audit, signals
from app.accounts import seen
from app.accounts.keys import ApiKeys
from app.accounts.passwords import Passwords
from app.accounts.tokens import digest, is_api_key, new_token
from app.authorization import Action, Identity, may_in
from app.errors import EmailTakenError, InvalidCredentialsError, InvalidTokenError
from app.storage import AuthToken, Database, TokenKind, User, new_id, utc_now


@dataclass(frozen=True)
class Account:
    """An account without its secrets."""

    id: str
    email: str
    created_at: datetime


@dataclass(frozen=True)
class TokenPair:
    """The tokens of a grant; `expires_in` is the access token's life in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int


class Accounts:
    """The rules of accounts and tokens; lives are in seconds."""

    def __init__(
        self, database: Database, passwords: Passwords, *, access_ttl: int, refresh_ttl: int
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._api_keys = ApiKeys(database)
        self._lives = {
            TokenKind.ACCESS: timedelta(seconds=access_ttl),
            TokenKind.REFRESH: timedelta(seconds=refresh_ttl),
        }

    def register(self, email: str, password: str) -> Account:
        """Create an account. Raises: EmailTakenError."""
        user = User(
            id=new_id(),
            email=email.lower(),
            password_hash=self._passwords.hash(password),
            created_at=utc_now(),
        )
        try:
            with self._database.writing() as session:
                session.add(user)
                session.flush()
                target = audit.Target("account", user.id, user.email)
                audit.record(session, Identity(user.id, user.email), "account.register", target)
                return Account(user.id, user.email, user.created_at)
        except IntegrityError as error:
            raise EmailTakenError from error

    def login(self, email: str, password: str) -> TokenPair:
        """Check a password and open a grant. Raises: InvalidCredentialsError."""
        with self._database.reading() as session:
            found = session.execute(
                select(User.id, User.password_hash).where(User.email == email)
            ).one_or_none()
        # Outside the transaction: hashing takes tens of milliseconds on purpose.
        valid = self._passwords.verify(found.password_hash if found else None, password)
        signals.emit(signals.authentication, method="password", success=valid)
        if found is None or not valid:
            raise InvalidCredentialsError
        changes: dict[str, Any] = {"last_authenticated_at": utc_now()}
        if self._passwords.outdated(found.password_hash):
            changes["password_hash"] = self._passwords.hash(password)
        with self._database.writing() as session:
            self._forget_expired(session, found.id)
            session.execute(update(User).where(User.id == found.id).values(changes))
            return self._issue(session, found.id, new_id())

    def refresh(self, token: str) -> TokenPair:
        """Trade a refresh token for the next pair. Raises: InvalidTokenError."""
        pair = self._rotate(token)
        signals.emit(signals.authentication, method="refresh", success=pair is not None)
        if pair is None:
            raise InvalidTokenError
        return pair

    def authenticate(self, token: str) -> Identity:
        """Return whose access token or API key this is. Raises: InvalidTokenError."""
        if is_api_key(token):
            return self._api_keys.authenticate(token)
        with self._database.reading() as session:
            found = session.execute(
                select(User, AuthToken.grant_id)
                .join(User, AuthToken.user_id == User.id)
                .where(
                    AuthToken.digest == digest(token),
                    AuthToken.kind == TokenKind.ACCESS,
                    AuthToken.revoked_at.is_(None),
                    AuthToken.expires_at > utc_now(),
                )
            ).one_or_none()
        signals.emit(signals.authentication, method="token", success=found is not None)
        if found is None:
            raise InvalidTokenError
        user: User = found.User
        if seen.is_stale(user.last_authenticated_at, seen.ACCOUNT_INTERVAL):
            seen.note(self._database, user.id)
        return Identity(user.id, user.email, user.is_operator, grant_id=found.grant_id)

    def account(self, identity: Identity) -> Account:
        """Return the account. Raises: InvalidTokenError where it was deleted meanwhile."""
        with self._database.reading() as session:
            user = session.get(User, identity.user_id)
            if user is None:
                raise InvalidTokenError
            return Account(user.id, user.email, user.created_at)

    def logout(self, identity: Identity) -> None:
        """Revoke every token of the grant; logging out twice is fine.

        Raises: PermissionDeniedError for an API key, which has no login to end.
        """
        may_in(identity, Action.LOGOUT)
        with self._database.writing() as session:
            if identity.grant_id is not None and _revoke(session, identity.grant_id):
                target = audit.Target("account", identity.user_id, identity.email)
                audit.record(session, identity, "account.logout", target)

    def _rotate(self, token: str) -> TokenPair | None:
        with self._database.writing() as session:
            found = session.execute(
                select(AuthToken).where(
                    AuthToken.digest == digest(token), AuthToken.kind == TokenKind.REFRESH
                )
            ).scalar_one_or_none()
            if found is None or found.revoked_at is not None or found.expires_at <= utc_now():
                return None
            if not _use(session, found.id):
                _revoke(session, found.grant_id)
                return None
            seen.note_account(session, found.user_id)
            return self._issue(session, found.user_id, found.grant_id)

    def _issue(self, session: Session, user_id: str, grant_id: str) -> TokenPair:
        tokens = {kind: new_token(kind) for kind in TokenKind}
        now = utc_now()
        session.add_all(
            AuthToken(
                id=new_id(),
                user_id=user_id,
                grant_id=grant_id,
                kind=kind,
                digest=digest(token),
                created_at=now,
                expires_at=now + self._lives[kind],
            )
            for kind, token in tokens.items()
        )
        return TokenPair(
            tokens[TokenKind.ACCESS],
            tokens[TokenKind.REFRESH],
            int(self._lives[TokenKind.ACCESS].total_seconds()),
        )

    def _forget_expired(self, session: Session, user_id: str) -> None:
        expired = (AuthToken.user_id == user_id) & (AuthToken.expires_at <= utc_now())
        session.execute(delete(AuthToken).where(expired))


def _use(session: Session, token_id: str) -> bool:
    """Mark a refresh token as used; of two that try at once, one succeeds."""
    used = session.scalar(
        update(AuthToken)
        .where(AuthToken.id == token_id, AuthToken.used_at.is_(None))
        .values(used_at=utc_now())
        .returning(AuthToken.id)
    )
    return used is not None


def _revoke(session: Session, grant_id: str) -> bool:
    """Revoke the tokens of the grant; tell whether there was one that was not revoked."""
    revoked = session.scalars(
        update(AuthToken)
        .where(AuthToken.grant_id == grant_id, AuthToken.revoked_at.is_(None))
        .values(revoked_at=utc_now())
        .returning(AuthToken.id)
    )
    return bool(revoked.all())
