"""What was refused to who is not, or not any more, who they say: noted in the audit log.

In a transaction of its own, and without failing what it notes. How much strangers can have noted
is bounded by the limits of attempts, and of a key that goes on being sent by one entry a while.
"""

import logging
import time
from typing import NamedTuple

from app.core.errors import StorageError
from app.domain import audit
from app.storage import Database

# A program that sends a key that has ended does so all day.
_KEY_SECONDS = 600.0
_MOST_KEYS = 10_000
_log = logging.getLogger(__name__)


class Account(NamedTuple):
    """An account, or none of the address that was named: who types in a password there by
    mistake must not find it in a log."""

    id: str | None
    email: str | None


def note_login(database: Database, account: Account, *, disabled: bool) -> None:
    """Note a sign-in with a wrong password, or of a disabled account."""
    target = audit.Target("account", account.id, account.email)
    _note(database, "account.login_refuse", target, reason="disabled" if disabled else "password")


class Keys:
    """Notes the use of API keys that have ended."""

    def __init__(self) -> None:
        self._noted: dict[str, float] = {}

    def note(self, database: Database, key_id: str, name: str, reason: str) -> None:
        """Note it, unless that was done a moment ago."""
        now = time.monotonic()
        if now - self._noted.get(key_id, -_KEY_SECONDS) < _KEY_SECONDS:
            return
        if len(self._noted) >= _MOST_KEYS:
            self._noted.clear()
        self._noted[key_id] = now
        _note(database, "api_key.refuse", audit.Target("api_key", key_id, name), reason=reason)


def _note(database: Database, action: str, target: audit.Target, **details: str) -> None:
    try:
        with database.writing() as session:
            audit.record(session, None, action, target, **details)
    except StorageError:
        _log.info("refusal not noted", extra={"action": action})
