"""What was refused to who is not, or not any more, who they say: noted in the audit log.

In a transaction of its own, and without failing what it notes. Strangers must not fill the log by
it: limits of attempts bound what comes from one address, and here is bounded what comes from many
together. Beyond so many a minute sign-ins are counted, and told in one entry for each account and
address; of an account the first one of a minute is noted in any case. Of a key that goes on being
sent there is one entry a while.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from app.core.context import Context, context
from app.core.errors import StorageError
from app.domain import audit
from app.storage import Database

MOST = 60
"""Sign-ins that a process notes one by one in a minute, and kinds of others that it tells apart: as
many as one address may try (`VIBEBOX_RATE_LIMIT_ADDRESS`)."""
_MINUTE = 60.0
_LOGIN = "account.login_refuse"
# A program that sends a key that has ended does so all day.
_KEY_SECONDS = 600.0
_MOST_KEYS = 10_000
_log = logging.getLogger(__name__)


class Account(NamedTuple):
    """An account, or none of the address that was named: who types in a password there by
    mistake must not find it in a log."""

    id: str | None
    email: str | None


class _Kind(NamedTuple):
    """Refused sign-ins that are told in one entry: whose, and from where."""

    account: Account
    address: str


_OTHERS = _Kind(Account(None, None), "")


class Logins:
    """Notes sign-ins with a wrong password, or of a disabled account; any thread may call it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._ends_at = clock()
        self._noted: Counter[str | None] = Counter()
        self._more: Counter[_Kind] = Counter()

    def note(self, database: Database, account: Account, *, disabled: bool) -> None:
        """Note one, or count it; and tell what was counted in a minute that is over."""
        self.tell(database)
        with self._lock:
            is_noted = self._has_room(account)
        if is_noted:
            reason = "disabled" if disabled else "password"
            _note(database, _LOGIN, _target(account), reason=reason)

    def tell(self, database: Database, *, at_once: bool = False) -> None:
        """Note what was counted in a minute that is over; `at_once`: also where it is not.

        To be called now and then: those who try may leave off, and nobody else is refused for days.
        """
        with self._lock:
            over = self._begin_minute(at_once=at_once)
        if over:
            _note_more(database, over)

    def _begin_minute(self, *, at_once: bool) -> Mapping[_Kind, int]:
        """Return what the last one has to tell, once it is over."""
        now = self._clock()
        if now < self._ends_at and not at_once:
            return {}
        over, self._more = self._more, Counter()
        self._noted.clear()
        self._ends_at = now + _MINUTE
        return over

    def _has_room(self, account: Account) -> bool:
        is_first = account.id is not None and not self._noted[account.id]
        if is_first or self._noted.total() < MOST:
            self._noted[account.id] += 1
            return True
        kind = _Kind(account, context.get().address)
        self._more[kind if kind in self._more or len(self._more) < MOST else _OTHERS] += 1
        return False


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


def _note_more(database: Database, more: Mapping[_Kind, int]) -> None:
    """Note of each kind how many there were beside those that were noted."""
    _log.warning("refused sign-ins were many", extra={"more": sum(more.values())})

    def write(session: Session) -> None:
        for kind, times in more.items():
            token = context.set(Context(address=kind.address))
            try:
                details = {"reason": "many", "times": times}
                audit.record(session, None, _LOGIN, _target(kind.account), **details)
            finally:
                context.reset(token)

    _write(database, _LOGIN, write)


def _target(account: Account) -> audit.Target:
    return audit.Target("account", account.id, account.email)


def _note(database: Database, action: str, target: audit.Target, **details: Any) -> None:
    _write(database, action, lambda session: audit.record(session, None, action, target, **details))


def _write(database: Database, action: str, write: Callable[[Session], None]) -> None:
    try:
        with database.writing() as session:
            write(session)
    except StorageError:
        _log.info("refusal not noted", extra={"action": action})
