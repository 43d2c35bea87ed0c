"""What happens to an environment, as server-sent events, looked at twice a second.

No connection is held between two looks. A stream takes a request thread for as long as it lasts,
so that only a part of the threads may serve streams (`app.web.admission`). The last event says why
a stream ends before what it tells of has.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

from app.core.errors import StorageError, VibeBoxError
from app.domain.authorization import Access, Action, Identity
from app.domain.environments.progress import Progress, ProgressRecords
from app.web.admission.admission import Admission, Kind
from app.web.admission.held import Held
from app.web.streams.waiting import POLL_SECONDS
from app.web.websockets.closing import AWAY, GOING_AWAY, closing
from app.web.websockets.polling_hub import GRACE

HEARTBEAT_SECONDS = 10.0
LONGEST_SECONDS = 600.0
# Proxies and clients see at once that the stream lives.
_HEARTBEAT = b": still here\n\n"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _End:
    """Why a stream ends: as a WebSocket would say it."""

    code: int
    reason: str


class Events:
    """The events of environments."""

    def __init__(
        self, records: ProgressRecords, admission: Admission, stopping: Callable[[], bool]
    ) -> None:
        self._records = records
        self._admission = admission
        self._stopping = stopping

    def open(self, identity: Identity, environment_id: str, *, follow: bool) -> "EventStream":
        """Return the stream of an environment; close it after use.

        Raises: EnvironmentNotFoundError, PermissionDeniedError, TooManyStreamsError,
        ShareExceededError.
        """
        first = self._records.get(identity, environment_id)
        access = Access(identity, Action.ENVIRONMENT_READ, environment_id)
        held = self._admission.open(Kind.STREAM, access)
        return EventStream(self._looks(held, environment_id, first, follow), held)

    def _looks(
        self, held: Held, environment_id: str, first: Progress, follow: bool
    ) -> Iterator[Progress | _End]:
        """Yield what there is at each moment, and at last why there is no more, if not told yet."""
        look, answered_at = first, time.monotonic()
        while True:
            yield look
            if look.over and not follow:
                return
            if self._stopping():
                yield _End(GOING_AWAY, AWAY)
                return
            try:
                held.wait(POLL_SECONDS)
                look = self._records.get(held.access.identity, environment_id, look.pull_id)
                answered_at = time.monotonic()
            except Exception as error:
                # A database that is away for a moment ends nothing.
                if isinstance(error, StorageError) and time.monotonic() - answered_at < GRACE:
                    continue
                if not isinstance(error, VibeBoxError):
                    _log.exception("event stream failed")
                yield _End(*closing(held.why(error)))
                return


class EventStream:
    """The bytes of a stream; `close` gives back its place, whether or not it was ever read."""

    def __init__(self, looks: Iterator[Progress | _End], held: Held) -> None:
        self._chunks = _chunks(looks)
        self._held = held

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        """End the stream; closing it again changes nothing."""
        self._held.close()


def _chunks(looks: Iterator[Progress | _End]) -> Iterator[bytes]:
    """Tell what is new in each look, and a comment where nothing was for a while."""
    started = spoken = time.monotonic()
    status: dict[str, Any] | None = None
    pull: dict[str, Any] | None = None
    for look in looks:
        if isinstance(look, _End):
            yield _end(look.code, look.reason)
            return
        news = b""
        # Progress first: the status that ends the start is the last word.
        if look.pull is not None and look.pull != pull:
            pull = look.pull
            news += _event("pull", pull)
        now = {"status": look.status, "error": look.error}
        if now != status:
            status = now
            news += _event("status", status)
        moment = time.monotonic()
        if news or moment - spoken >= HEARTBEAT_SECONDS:
            spoken = moment
            yield news or _HEARTBEAT
        if moment - started >= LONGEST_SECONDS:
            yield _end(GOING_AWAY, "connect again")
            return


def _end(code: int, reason: str) -> bytes:
    # Clients of before 0.2 look for a status in whatever is no pull.
    return _event("end", {"code": code, "reason": reason, "status": None})


def _event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
