"""Accounts: registration, logins by password, and who a token belongs to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import exists, select, update

from app.core import signals
from app.core.errors import (
    AccountDisabledError,
    InvalidCredentialsError,
    InvalidTokenError,
    TooManyAttemptsError,
)
from app.domain import audit
from app.domain.accounts import last_used, refused
from app.domain.accounts.grants import Grants, TokenPair
from app.domain.accounts.keys import ApiKeys
from app.domain.accounts.logins import Device, end_login
from app.domain.accounts.passwords import Passwords
from app.domain.accounts.tokens import digest, is_api_key
from app.domain.authorization import Action, Identity, may_in
from app.storage import (
    AuthToken,
    Database,
    EndReason,
    Login,
    LoginKind,
    TokenKind,
    User,
    db_now,
)

__all__ = ["Account", "Accounts", "Device", "TokenPair"]
_NOWHERE = Device()
# Another login may renew the hash of the same password meanwhile.
_TRIES = 2


@dataclass(frozen=True)
class Account:
    """An account without its secrets."""

    id: str
    email: str
    created_at: datetime


class Accounts:
    """The rules of accounts and tokens; lives are in seconds."""

    def __init__(
        self, database: Database, passwords: Passwords, *, access_ttl: int, refresh_ttl: int
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._api_keys = ApiKeys(database)
        self._refused = refused.Logins()
        self._grants = Grants(access_ttl=access_ttl, refresh_ttl=refresh_ttl)

    def login(
        self,
        email: str,
        password: str,
        device: Device = _NOWHERE,
        *,
        console: bool = False,
    ) -> TokenPair:
        """Check a password and open a login, of the API or of the console.

        Raises: InvalidCredentialsError; AccountDisabledError, to who knows the password only.
        """
        kind = LoginKind.CONSOLE if console else LoginKind.API
        for _ in range(_TRIES):
            found = self._verified(email, password)
            pair = self._open(found, password, device, kind)
            if pair is not None:
                return pair
        raise InvalidCredentialsError

    def tell_refused(self, *, at_once: bool = False) -> None:
        """Note refused sign-ins that were counted, to be called now and then; see `refused`."""
        self._refused.tell(self._database, at_once=at_once)

    def knows(self, email: str, address: str | None) -> bool:
        """Tell whether the account of `email` has signed in from `address`, of late."""
        here = Device(address).columns()["address"]
        of_it = exists().where(Login.user_id == User.id, User.email == email, Login.address == here)
        with self._database.reading() as session:
            return here is not None and bool(session.scalar(select(of_it)))

    def _verified(self, email: str, password: str) -> Any:
        """Return the account whose password this is; no transaction is open meanwhile."""
        columns = User.id, User.email, User.password_hash, User.disabled_at, User.is_synthetic
        with self._database.reading() as session:
            found = session.execute(select(*columns).where(User.email == email)).one_or_none()
        # Hashing takes tens of milliseconds on purpose.
        try:
            valid = self._passwords.verify(found.password_hash if found else None, password)
        except TooManyAttemptsError:
            signals.emit(signals.authentication, method="password", success=False)
            raise
        allowed = found is not None and valid and found.disabled_at is None
        signals.emit(signals.authentication, method="password", success=allowed)
        if not allowed:
            # For addresses without an account too: they take no less time.
            account = refused.Account(found and found.id, found and found.email)
            self._refused.note(self._database, account, disabled=valid)
            raise AccountDisabledError if valid else InvalidCredentialsError
        return found

    def _open(self, found: Any, password: str, device: Device, kind: LoginKind) -> TokenPair | None:
        """Open a login if all is as it was verified, else None.

        Whoever changes a password or disables an account ends the logins that there are then: none
        may be opened after that by what was verified before.
        """
        changes: dict[str, Any] = {"last_authenticated_at": db_now()}
        if self._passwords.outdated(found.password_hash):
            changes["password_hash"] = self._passwords.hash(password)
        same = (User.password_hash == found.password_hash) & User.disabled_at.is_(None)
        current = update(User).where(User.id == found.id, same).values(changes)
        with self._database.writing() as session:
            if session.scalar(current.returning(User.id)) is None:
                return None
            target = audit.Target("account", found.id, found.email)
            actor = Identity(found.id, found.email)
            audit.record(session, actor, "account.login", target, kind=kind.value)
            pair = self._grants.open(session, found.id, kind, device)
            return replace(pair, is_synthetic=found.is_synthetic)

    def refresh(self, token: str, device: Device = _NOWHERE) -> TokenPair:
        """Trade a refresh token of the API for the next pair. Raises: InvalidTokenError."""
        with self._database.writing() as session:
            pair = self._grants.renew(session, token, device)
        return _good(pair)

    def refresh_console(
        self, cookies: Sequence[str], secret: str | None, device: Device = _NOWHERE
    ) -> TokenPair:
        """Trade a console's cookie, with the secret of its page, for the next pair.

        Of several cookies the one counts that the secret belongs to. One of a release before comes
        without a secret, and is given one. Raises: InvalidTokenError.
        """
        with self._database.writing() as session:
            if secret is None:
                pair = self._grants.adopt_console(session, cookies, device)
            else:
                pair = self._grants.renew_console(session, cookies, secret, device)
        return _good(pair)

    def authenticate(self, token: str) -> Identity:
        """Return whose access token or API key this is. Raises: InvalidTokenError."""
        if is_api_key(token):
            return self._api_keys.authenticate(token)
        with self._database.reading() as session:
            found = session.execute(
                select(User, AuthToken.grant_id, last_used.account_is_stale())
                .join(User, AuthToken.user_id == User.id)
                .where(
                    AuthToken.digest == digest(token),
                    AuthToken.kind == TokenKind.ACCESS,
                    AuthToken.revoked_at.is_(None),
                    AuthToken.expires_at > db_now(),
                    User.disabled_at.is_(None),
                )
            ).one_or_none()
        signals.emit(signals.authentication, method="token", success=found is not None)
        if found is None:
            raise InvalidTokenError
        user, grant_id, stale = found
        if stale:
            last_used.touch(self._database, user.id, login_id=grant_id)
        return Identity(
            user.id,
            user.email,
            user.is_operator,
            grant_id=grant_id,
            is_synthetic=user.is_synthetic,
        )

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
            if identity.grant_id and end_login(session, identity.grant_id, EndReason.LOGOUT):
                target = audit.Target("account", identity.user_id, identity.email)
                audit.record(session, identity, "account.logout", target)


def _good(pair: TokenPair | None) -> TokenPair:
    signals.emit(signals.authentication, method="refresh", success=pair is not None)
    if pair is None:
        raise InvalidTokenError
    return pair
