"""Whether credentials that opened something are still good.

What is open belongs to a login or to an API key, never to one access token: a token that runs out
or is renewed ends nothing. Whoever keeps something open asks here, for all that is open at once.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, literal, null, select, union_all
from sqlalchemy.orm import Session

from app.core.errors import CredentialEndedError
from app.domain.authorization import Identity
from app.storage import ApiKey, AuthToken, EndReason, Login, User, db_now

_LOG_IN = "Log in again."
_SENTENCES = {
    EndReason.LOGOUT: f"This login has ended: it was logged out. {_LOG_IN}",
    EndReason.ENDED: f"This login was ended from the list of logins. {_LOG_IN}",
    EndReason.REUSE: f"This login has ended: a refresh token of it was used twice. {_LOG_IN}",
    EndReason.PASSWORD: f"This login has ended: the account's password has changed. {_LOG_IN}",
    EndReason.SURPLUS: f"This login has ended: the account opened too many others. {_LOG_IN}",
    EndReason.DISABLED: "This account is disabled; ask an operator of this VibeBox.",
    EndReason.DELETED: "This account was deleted.",
    EndReason.EXPIRED: f"This login has expired unused. {_LOG_IN}",
    EndReason.REVOKED: "This API key was revoked; use another one.",
}
_KEY_EXPIRED = "This API key has expired; use another one."


@dataclass(frozen=True)
class Credential:
    """What somebody proved who they are with: a login (`grant_id`) or an API key of an account."""

    user_id: str
    grant_id: str | None = None
    api_key_id: str | None = None

    @classmethod
    def of(cls, identity: Identity) -> "Credential":
        """Return the credential of an identity."""
        return cls(identity.user_id, identity.grant_id, identity.api_key_id)


@dataclass(frozen=True)
class _Row:
    """What the database holds of an account, a login or a key; an account's never expires."""

    ended_at: datetime | None
    reason: str | None
    expired: bool


_Found = dict[tuple[str, str], _Row]


def ended(
    session: Session, credentials: Collection[Credential]
) -> dict[Credential, CredentialEndedError]:
    """Return those of the credentials that are good no more, each with the reason.

    One statement, however many there are; roles are not its business.
    """
    if not credentials:
        return {}
    found: _Found = {
        (kind, id): _Row(ended_at, reason, bool(expired))
        for kind, id, ended_at, reason, expired in session.execute(_rows_of(credentials))
    }
    errors = {one: _error(one, found) for one in set(credentials)}
    return {one: error for one, error in errors.items() if error is not None}


def _rows_of(credentials: Collection[Credential]) -> Any:
    grants = {one.grant_id for one in credentials if one.grant_id is not None}
    keys = {one.api_key_id for one in credentials if one.api_key_id is not None}
    never = null()
    parts: list[Select[*tuple[Any, ...]]] = [
        select(literal("account"), User.id, User.disabled_at, null(), never).where(
            User.id.in_({one.user_id for one in credentials})
        )
    ]
    if grants:
        expired = Login.expires_at <= db_now()
        columns = Login.id, Login.ended_at, Login.end_reason, expired
        parts.append(select(literal("login"), *columns).where(Login.id.in_(grants)))
        # A release that knows no logins ends one by revoking its tokens.
        parts.append(
            select(
                literal("tokens"), AuthToken.grant_id, AuthToken.revoked_at, null(), never
            ).where(AuthToken.grant_id.in_(grants), AuthToken.revoked_at.is_not(None))
        )
    if keys:
        expired_keys = ApiKey.expires_at <= db_now()
        columns_of_keys = ApiKey.id, ApiKey.revoked_at, null(), expired_keys
        parts.append(select(literal("key"), *columns_of_keys).where(ApiKey.id.in_(keys)))
    return union_all(*parts)


def _error(one: Credential, found: _Found) -> CredentialEndedError | None:
    account = found.get(("account", one.user_id))
    if account is None:
        return _because(EndReason.DELETED)
    if account.ended_at is not None:
        return _because(EndReason.DISABLED)
    if one.api_key_id is not None:
        return _error_of_key(found.get(("key", one.api_key_id)))
    return _error_of_login(str(one.grant_id), found)


def _error_of_key(key: _Row | None) -> CredentialEndedError | None:
    # One that is not there was revoked too, and its name given to another.
    if key is None or key.ended_at is not None:
        return _because(EndReason.REVOKED)
    if key.expired:
        return CredentialEndedError(EndReason.EXPIRED, _KEY_EXPIRED)
    return None


def _error_of_login(grant_id: str, found: _Found) -> CredentialEndedError | None:
    login = found.get(("login", grant_id))
    if login is not None and login.ended_at is not None:
        return _because(EndReason(login.reason or EndReason.ENDED))
    if ("tokens", grant_id) in found:
        return _because(EndReason.LOGOUT)
    # Without a row it is a login of a release that writes none.
    if login is not None and login.expired:
        return _because(EndReason.EXPIRED)
    return None


def _because(reason: EndReason) -> CredentialEndedError:
    return CredentialEndedError(reason, _SENTENCES[reason])
