"""Tokens of logins: issued at a sign-in, traded for the next, revoked when one is used twice.

A login is a grant. Its access token is short-lived; its refresh token works once and gives the
next pair. A refresh token that is used a second time was stolen from, or by, somebody: the whole
login ends then (RFC 9700, section 4.14.2).

A console's refresh token is split in two: the cookie, and the secret that the page keeps. Stored is
a digest of both, so that neither alone, nor the two glued together, is a token of the API.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from app.domain.accounts import last_used
from app.domain.accounts.logins import Device, end_login, open_login, renew_login
from app.domain.accounts.tokens import (
    console_digest,
    digest,
    new_console_cookie,
    new_console_secret,
    new_token,
)
from app.storage import AuthToken, EndReason, LoginKind, TokenKind, db_now, new_id, now

# So much later than it expires a refresh token is forgotten: a clock that is set by an hour and
# back must not cost a login.
_FORGOTTEN_AFTER = timedelta(days=1)


@dataclass(frozen=True)
class TokenPair:
    """The tokens of a login; `expires_in` is the access token's life in seconds.

    `page_secret` is what a console's page keeps, where it is told a new one; its `refresh_token`
    is the cookie then. `is_synthetic`: of an account that is, where a password was checked.
    """

    access_token: str
    refresh_token: str
    expires_in: int
    page_secret: str | None = None
    is_synthetic: bool = False


@dataclass(frozen=True)
class _Login:
    """Whom tokens are issued to, at which moment; `secret` is that of a console's page."""

    id: str
    user_id: str
    moment: datetime
    secret: str | None


class Grants:
    """Issues the tokens of logins; lives are in seconds."""

    def __init__(self, *, access_ttl: int, refresh_ttl: int) -> None:
        self._lives = {
            TokenKind.ACCESS: timedelta(seconds=access_ttl),
            TokenKind.REFRESH: timedelta(seconds=refresh_ttl),
        }

    def open(self, session: Session, user_id: str, kind: LoginKind, device: Device) -> TokenPair:
        """Open a login and return its first tokens."""
        secret = new_console_secret() if kind is LoginKind.CONSOLE else None
        known = digest(secret) if secret else None
        moment, life = now(session), self._lives[TokenKind.REFRESH]
        login_id = open_login(session, user_id, kind, device, moment, life, known)
        _forget_expired(session, user_id)
        return self._issue(session, _Login(login_id, user_id, moment, secret), tell=True)

    def renew(self, session: Session, refresh_token: str, device: Device) -> TokenPair | None:
        """Trade a refresh token of the API for the next pair; None where it is not good."""
        found = _find(session, [digest(refresh_token)])
        return self._renew(session, found, LoginKind.API, device, None)

    def renew_console(
        self, session: Session, cookies: Sequence[str], secret: str, device: Device
    ) -> TokenPair | None:
        """Trade that of the cookies that belongs to the page's secret; None where none does."""
        found = _find(session, [console_digest(cookie, secret) for cookie in cookies])
        return self._renew(session, found, LoginKind.CONSOLE, device, secret)

    def adopt_console(
        self, session: Session, cookies: Sequence[str], device: Device
    ) -> TokenPair | None:
        """Trade the cookie of a release whose cookies needed no secret, and give it one.

        None where none is good, or of a login of which is known that it is not the console's.
        """
        found = _find(session, [digest(cookie) for cookie in cookies])
        secret = new_console_secret()
        return self._renew(session, found, LoginKind.CONSOLE, device, secret, tell=True)

    def _renew(
        self,
        session: Session,
        found: AuthToken | None,
        kind: LoginKind,
        device: Device,
        secret: str | None,
        *,
        tell: bool = False,
    ) -> TokenPair | None:
        moment = now(session)
        if found is None or found.revoked_at is not None or found.expires_at <= moment:
            return None
        user_id, login_id = found.user_id, found.grant_id
        if found.used_at is None:
            last_used.touch_account(session, user_id)
            known = digest(secret) if secret and tell else None
            life = self._lives[TokenKind.REFRESH]
            if not renew_login(session, login_id, user_id, kind, device, moment, life, known):
                return None
        if not _use(session, found.id):
            end_login(session, login_id, EndReason.REUSE)
            return None
        _forget_expired(session, user_id)
        return self._issue(session, _Login(login_id, user_id, moment, secret), tell=tell)

    def _issue(self, session: Session, login: _Login, *, tell: bool) -> TokenPair:
        access = new_token(TokenKind.ACCESS)
        if login.secret is None:
            refresh = new_token(TokenKind.REFRESH)
            kept = digest(refresh)
        else:
            refresh = new_console_cookie()
            kept = console_digest(refresh, login.secret)
        digests = {TokenKind.ACCESS: digest(access), TokenKind.REFRESH: kept}
        session.add_all(
            AuthToken(
                id=new_id(),
                user_id=login.user_id,
                grant_id=login.id,
                kind=kind,
                digest=kept,
                created_at=login.moment,
                expires_at=login.moment + self._lives[kind],
            )
            for kind, kept in digests.items()
        )
        seconds = int(self._lives[TokenKind.ACCESS].total_seconds())
        return TokenPair(access, refresh, seconds, login.secret if tell else None)


def _forget_expired(session: Session, user_id: str) -> None:
    access = (AuthToken.kind == TokenKind.ACCESS) & (AuthToken.expires_at <= db_now())
    over = access | (AuthToken.expires_at <= db_now(-_FORGOTTEN_AFTER))
    session.execute(delete(AuthToken).where(AuthToken.user_id == user_id, over))


def _find(session: Session, digests: Sequence[str]) -> AuthToken | None:
    of_refresh = (AuthToken.kind == TokenKind.REFRESH) & AuthToken.digest.in_(digests)
    # Of several cookies of one login, the used ones may have been set by whoever has seen them.
    unused_first = AuthToken.used_at.is_not(None)
    return session.scalars(select(AuthToken).where(of_refresh).order_by(unused_first)).first()


def _use(session: Session, token_id: str) -> bool:
    """Mark a refresh token as used; of two that try at once, one succeeds."""
    used = session.scalar(
        update(AuthToken)
        .where(AuthToken.id == token_id, AuthToken.used_at.is_(None))
        .values(used_at=db_now())
        .returning(AuthToken.id)
    )
    return used is not None
