"""Stub until the real one lands."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app.authorization import Identity
from app.errors import CredentialEndedError
from app.storage import ApiKey, AuthToken, User, utc_now


@dataclass(frozen=True)
class Credential:
    user_id: str
    grant_id: str | None = None
    api_key_id: str | None = None

    @classmethod
    def of(cls, identity: Identity) -> "Credential":
        return cls(identity.user_id, identity.grant_id, identity.api_key_id)


def ended(
    session: Session, credentials: Collection[Credential]
) -> dict[Credential, CredentialEndedError]:
    users = set(
        session.scalars(select(User.id).where(User.id.in_({c.user_id for c in credentials})))
    )
    keys = set(
        session.scalars(
            select(ApiKey.id).where(
                ApiKey.id.in_({c.api_key_id for c in credentials if c.api_key_id}),
                ApiKey.revoked_at.is_(None),
                or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > utc_now()),
            )
        )
    )
    grants = set(
        session.scalars(
            select(AuthToken.grant_id).where(
                AuthToken.grant_id.in_({c.grant_id for c in credentials if c.grant_id}),
                AuthToken.revoked_at.is_(None),
            )
        )
    )
    return {
        c: CredentialEndedError("This login has ended.")
        for c in credentials
        if c.user_id not in users or not (c.api_key_id in keys or c.grant_id in grants)
    }
