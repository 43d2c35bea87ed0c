"""When credentials were last used: kept to minutes, so that a request does not cost a write."""

import logging
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, or_, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.errors import StorageError
from app.storage import ApiKey, Database, Login, User, utc_now

# The accounts active within a day, a metric, are exact to this much.
ACCOUNT_INTERVAL = timedelta(minutes=5)
KEY_INTERVAL = timedelta(minutes=1)
_log = logging.getLogger(__name__)


def is_stale(seen: datetime | None, interval: timedelta) -> bool:
    """Tell whether the moment is so long ago that it is to be renewed."""
    return seen is None or seen < utc_now() - interval


def note_account(session: Session, user_id: str) -> None:
    """Note in the caller's transaction that the account has authenticated."""
    column = User.last_authenticated_at
    stale = _stale(column, ACCOUNT_INTERVAL)
    session.execute(update(User).where(User.id == user_id, stale).values({column: utc_now()}))


def note(
    database: Database, user_id: str, key_id: str | None = None, login_id: str | None = None
) -> None:
    """Note the use of a credential, in a transaction of its own.

    A database that cannot be written now does not fail the request, which may only read.
    """
    try:
        with database.writing() as session:
            note_account(session, user_id)
            if login_id is not None:
                now = {Login.last_used_at: utc_now()}
                session.execute(update(Login).where(Login.id == login_id).values(now))
            if key_id is not None:
                used = ApiKey.last_used_at
                stale = _stale(used, KEY_INTERVAL)
                session.execute(
                    update(ApiKey).where(ApiKey.id == key_id, stale).values({used: utc_now()})
                )
    except StorageError:
        _log.info("use of a credential not noted", extra={"user": user_id})


def _stale(
    column: InstrumentedAttribute[datetime | None], interval: timedelta
) -> ColumnElement[bool]:
    return or_(column.is_(None), column < utc_now() - interval)
