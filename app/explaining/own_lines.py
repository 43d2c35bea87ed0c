"""The service's own log lines of a request or trace, for operators."""

from datetime import UTC, datetime, timedelta

from app.core import deadline
from app.core.errors import RequestNotFoundError, StoreNotSetError
from app.domain.authorization import Action, Identity, may_in
from app.stores.log_lines import SETTING, LogStore, StoredLine

SECONDS = 10.0
_PAST = timedelta(days=7)


class OwnLines:
    """Reads them from the store that the settings name, if they name one."""

    def __init__(self, store: LogStore | None) -> None:
        self._store = store

    def of(
        self,
        identity: Identity,
        id: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int,
    ) -> list[StoredLine]:
        """Return the first lines of the request or trace of this id, in the order of time.

        since: a week ago, where it is not said; until: now.
        Raises: PermissionDeniedError, StoreNotSetError, StoreUnavailableError,
        RequestNotFoundError.
        """
        may_in(identity, Action.SERVICE_LOG_READ)
        if self._store is None:
            raise StoreNotSetError(SETTING, "address of a Loki or VictoriaLogs")
        now = datetime.now(UTC)
        with deadline.within(SECONDS):
            # Clocks of hosts differ by a little.
            until = until or now + timedelta(minutes=1)
            found = self._store.lines([id], since or until - _PAST, until, limit)
        if not found:
            raise RequestNotFoundError
        return found
