"""What happens to an environment, as server-sent events, read from the database twice a second.

No connection is held between two looks. A stream takes a request thread for as long as it lasts,
so that only a part of the threads may serve streams (`Slots`).
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

from app.authorization import Action, Identity, environment_for
from app.environments import pull_rows
from app.environments.transitions import OPEN_PULLS, PASSAGES
from app.environments.waiting import POLL_SECONDS
from app.errors import TooManyStreamsError, VibeBoxError
from app.slots import Slots
from app.storage import Database, EnvironmentStatus, ImagePull

HEARTBEAT_SECONDS = 10.0
LONGEST_SECONDS = 600.0
# Proxies and clients see at once that the stream lives.
_HEARTBEAT = b": still here\n\n"


@dataclass(frozen=True)
class _Look:
    """What there was to tell at one moment."""

    status: EnvironmentStatus
    error: str | None
    pull: dict[str, Any] | None
    pull_id: str | None

    @property
    def over(self) -> bool:
        return self.status not in PASSAGES


class Events:
    """The events of environments."""

    def __init__(self, database: Database, slots: Slots, stopping: Callable[[], bool]) -> None:
        self._database = database
        self._slots = slots
        self._stopping = stopping

    def open(self, identity: Identity, environment_id: str, *, follow: bool) -> "EventStream":
        """Return the stream of an environment; close it after use.

        Raises: EnvironmentNotFoundError, PermissionDeniedError, TooManyStreamsError.
        """
        first = self._look(identity, environment_id, None)
        if not self._slots.take():
            raise TooManyStreamsError

        def looks() -> Iterator[_Look]:
            look = first
            while True:
                yield look
                if self._stopping() or (look.over and not follow):
                    return
                time.sleep(POLL_SECONDS)
                look = self._look(identity, environment_id, look.pull_id)

        return EventStream(looks(), self._slots.give_back)

    def _look(self, identity: Identity, environment_id: str, pull_id: str | None) -> _Look:
        """Look at the environment, and at the pull it waits for or waited for in this stream."""
        with self._database.reading() as session:
            environment = environment_for(
                session, identity, environment_id, Action.ENVIRONMENT_READ
            )
            pull = None
            if pull_id is not None or environment.status is EnvironmentStatus.STARTING:
                pull = pull_rows.latest(session, environment_id)
                if pull is not None and pull.id != pull_id and pull.status not in OPEN_PULLS:
                    pull = None
            return _Look(
                environment.status,
                environment.error,
                _shown(pull) if pull is not None else None,
                pull.id if pull is not None else None,
            )


class EventStream:
    """The bytes of a stream; `close` gives back its slot, whether or not it was ever read."""

    def __init__(self, looks: Iterator[_Look], give_back: Callable[[], None]) -> None:
        self._chunks = _chunks(looks)
        self._give_back: Callable[[], None] | None = give_back

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        """End the stream; closing it again changes nothing."""
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()


def _chunks(looks: Iterator[_Look]) -> Iterator[bytes]:
    """Tell what is new in each look, and a comment where nothing was for a while."""
    started = spoken = time.monotonic()
    status: dict[str, Any] | None = None
    pull: dict[str, Any] | None = None
    try:
        for look in looks:
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
                return
    except VibeBoxError:
        # Deleted, out of sight, or the database is gone: the client asks again and is told.
        return


def _event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def _shown(pull: ImagePull) -> dict[str, Any]:
    return {
        "image": pull.image,
        "layers": pull.layers,
        "bytes_done": pull.bytes_done,
        "bytes_total": pull.bytes_total,
        "percent": pull.percent,
    }
