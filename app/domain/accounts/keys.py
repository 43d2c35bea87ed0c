"""API keys: long-lived credentials of an account, for programs.

A key is shown once, when it is made; only its digest is kept. It can do what its owner may, as far
as its scopes go, but it cannot make or revoke keys: a stolen one must not outlive its end.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, or_, select, update
from sqlalchemy.exc import IntegrityError

from app.core import signals
from app.core.errors import (
    ApiKeyNameTakenError,
    ApiKeyNotFoundError,
    InvalidInputError,
    InvalidTokenError,
    Limit,
)
from app.domain import audit
from app.domain.accounts import last_used, refused
from app.domain.accounts.tokens import beginning, digest, new_api_key
from app.domain.authorization import Action, Identity, Scope, may_in
from app.domain.quotas.row_limits import refuse_more
from app.storage import ApiKey, Database, User, db_now, new_id, now, utc_now


@dataclass(frozen=True)
class NewKey:
    """A key that was just made, with what is never seen again."""

    key: ApiKey
    secret: str


class ApiKeys:
    """The rules of API keys."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._refused = refused.Keys()

    def create(
        self, identity: Identity, name: str, scopes: set[Scope], expires_at: datetime | None
    ) -> NewKey:
        """Make a key. Raises: PermissionDeniedError, ApiKeyNameTakenError, InvalidInputError,
        LimitReachedError.
        """
        may_in(identity, Action.API_KEY_CHANGE)
        secret = new_api_key()
        key = ApiKey(
            id=new_id(),
            user_id=identity.user_id,
            name=name,
            prefix=beginning(secret),
            digest=digest(secret),
            scopes=sorted(scopes),
            created_at=utc_now(),
            expires_at=expires_at,
        )
        try:
            with self._database.writing() as session:
                if expires_at is not None and expires_at <= now(session):
                    message = "Name a moment in the future."
                    raise InvalidInputError([{"field": "expires_at", "message": message}])
                refuse_more(
                    session,
                    Limit.API_KEYS,
                    ApiKey,
                    ApiKey.user_id == identity.user_id,
                    ApiKey.revoked_at.is_(None),
                )
                # The name of a revoked key is free again.
                revoked = (ApiKey.user_id == identity.user_id) & ApiKey.revoked_at.is_not(None)
                session.execute(delete(ApiKey).where(revoked, ApiKey.name == name))
                session.add(key)
                audit.record(
                    session, identity, "api_key.create", _target(key), scopes=sorted(scopes)
                )
        except IntegrityError as error:
            raise ApiKeyNameTakenError from error
        return NewKey(key, secret)

    def list(self, identity: Identity) -> list[ApiKey]:
        """Return the caller's keys that are not revoked, by name. Raises: PermissionDeniedError."""
        may_in(identity, Action.API_KEY_READ)
        with self._database.reading() as session:
            query = select(ApiKey).where(
                ApiKey.user_id == identity.user_id, ApiKey.revoked_at.is_(None)
            )
            keys = list(session.scalars(query.order_by(ApiKey.name)))
            session.expunge_all()
        return keys

    def revoke(self, identity: Identity, key_id: str) -> None:
        """End a key at once. Raises: PermissionDeniedError, ApiKeyNotFoundError."""
        may_in(identity, Action.API_KEY_CHANGE)
        with self._database.writing() as session:
            revoked = session.scalar(
                update(ApiKey)
                .where(
                    ApiKey.id == key_id,
                    ApiKey.user_id == identity.user_id,
                    ApiKey.revoked_at.is_(None),
                )
                .values(revoked_at=db_now())
                .returning(ApiKey)
            )
            if revoked is None:
                raise ApiKeyNotFoundError
            audit.record(session, identity, "api_key.revoke", _target(revoked))

    def authenticate(self, secret: str) -> Identity:
        """Return whose key this is, and what it is good for. Raises: InvalidTokenError."""
        with self._database.reading() as session:
            found = session.execute(
                select(ApiKey, User, or_(last_used.key_is_stale(), last_used.account_is_stale()))
                .join(User, ApiKey.user_id == User.id)
                .where(
                    ApiKey.digest == digest(secret),
                    ApiKey.revoked_at.is_(None),
                    or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > db_now()),
                    User.disabled_at.is_(None),
                )
            ).one_or_none()
        signals.emit(signals.authentication, method="api_key", success=found is not None)
        if found is None:
            self._note_refused(secret)
            raise InvalidTokenError
        key, user, stale = found
        if stale:
            last_used.touch(self._database, user.id, key.id)
        return Identity(
            user.id,
            user.email,
            user.is_operator,
            api_key_id=key.id,
            scopes=frozenset(Scope(scope) for scope in key.scopes),
            is_synthetic=user.is_synthetic,
        )

    def _note_refused(self, secret: str) -> None:
        """Have it in the audit log where it is a key that was good once."""
        query = select(ApiKey, User.disabled_at).join(User, ApiKey.user_id == User.id)
        with self._database.reading() as session:
            found = session.execute(query.where(ApiKey.digest == digest(secret))).one_or_none()
        if found is None:
            return
        key, disabled_at = found
        reason = "revoked" if key.revoked_at else "disabled" if disabled_at else "expired"
        self._refused.note(self._database, key.id, key.name, reason)


def _target(key: ApiKey) -> audit.Target:
    return audit.Target("api_key", key.id, key.name)
