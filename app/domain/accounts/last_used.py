"""When credentials were last used: kept to minutes, so that a request does not cost a write."""

import logging
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, or_, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.core.errors import StorageError
from app.storage import ApiKey, Database, Login, User, db_now

# The accounts active within a day, a metric, are exact to this much.
ACCOUNT_INTERVAL = timedelta(minutes=5)
KEY_INTERVAL = timedelta(minutes=1)
_log = logging.getLogger(__name__)


def account_is_stale() -> ColumnElement[bool]:
    """Return the condition on `User` that its use is to be noted again."""
    return _stale(User.last_authenticated_at, ACCOUNT_INTERVAL)


def key_is_stale() -> ColumnElement[bool]:
    """Return the condition on `ApiKey` that its use is to be noted again."""
    return _stale(ApiKey.last_used_at, KEY_INTERVAL)


def touch_account(session: Session, user_id: str) -> None:
    """Note in the caller's transaction that the account has authenticated."""
    used = {User.last_authenticated_at: db_now()}
    session.execute(update(User).where(User.id == user_id, account_is_stale()).values(used))


def touch(
    database: Database, user_id: str, key_id: str | None = None, login_id: str | None = None
) -> None:
    """Note the use of a credential, in a transaction of its own.

    A database that cannot be written now does not fail the request, which may only read.
    """
    try:
        with database.writing() as session:
            touch_account(session, user_id)
            if login_id is not None:
                used = {Login.last_used_at: db_now()}
                session.execute(update(Login).where(Login.id == login_id).values(used))
            if key_id is not None:
                of_key = {ApiKey.last_used_at: db_now()}
                mine = ApiKey.id == key_id
                session.execute(update(ApiKey).where(mine, key_is_stale()).values(of_key))
    except StorageError:
        _log.info("use of a credential not noted", extra={"user": user_id})


def _stale(
    column: InstrumentedAttribute[datetime | None], interval: timedelta
) -> ColumnElement[bool]:
    return or_(column.is_(None), column < db_now(-interval))
