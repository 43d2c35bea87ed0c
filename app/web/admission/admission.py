"""What lasts is admitted here, and nowhere else: a place for it, and a watch over it.

Each process has so many places for what takes long, and no account can take all of one kind (see
`app.core.places`). What is admitted is a `Held`: sockets, streams and waiting requests can be made
of nothing else, so that none lasts longer than the access that it was opened with (see `watch`).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from math import ceil
from time import monotonic

from app.core.errors import (
    Limit,
    ServerBusyError,
    TooManySocketsError,
    TooManyStreamsError,
    TooManyUploadsError,
)
from app.core.places import Place, Places, take_all
from app.domain.authorization import Access
from app.storage import Database
from app.web.admission.held import LEAST_RATE, Held
from app.web.admission.rates import Rate
from app.web.admission.watch import PAUSE, AccessLooks
from app.web.websockets.polling_hub import PollingHub

UPLOADS = 2
"""Uploads at once: each holds its body in memory, and a database driver makes copies of it."""

SLOW_SECONDS = 60.0
"""How long an account whose upload gave way gets no other one that takes the last place: else a
few that come again at once would pass the places on among themselves."""


class Kind(Enum):
    """What lasts."""

    SOCKET = auto()
    STREAM = auto()  # server-sent events, which hold their request's thread
    WAIT = auto()  # a request that waits for what it began, and has its place as a request
    UPLOAD = auto()  # the same, of a request that reads a large body


def long_requests(threads: int) -> int:
    """Return how many of a process's requests may take long: a quarter always serve the rest."""
    return max(1, threads - max(1, ceil(threads / 4)))


@dataclass(frozen=True)
class Room:
    """How much a process takes at once; `sockets_each`: of an account."""

    sockets: int
    sockets_each: int
    requests: int
    streams: int
    uploads: int = UPLOADS

    @classmethod
    def for_threads(cls, threads: int, sockets: int, sockets_each: int) -> "Room":
        """Return what fits into so many request threads: half of them may stream or wait.

        WebSockets have threads of their own.
        """
        uploads = min(UPLOADS, max(1, threads // 4))
        return cls(sockets, sockets_each, long_requests(threads), max(1, threads // 2), uploads)


class Admission:
    """Admits what lasts in this process.

    Attributes: sockets (how many it would hold); changes (counts those of accounts).
    """

    def __init__(self, database: Database, room: Room, changes: Rate) -> None:
        self.changes = changes
        self.sockets = room.sockets
        self._looks = AccessLooks(database)
        # Beside the hub of what is shown: a slow look at a log must not keep anything open.
        self._hub = PollingHub(PAUSE, name="access-watch")
        self._requests = Places(room.requests, Limit.REQUESTS, ServerBusyError)
        streams = Places(room.streams, Limit.STREAMS, TooManyStreamsError)
        sockets = Places(
            room.sockets, Limit.WEBSOCKETS, TooManySocketsError, most=room.sockets_each
        )
        self._places: dict[Kind, tuple[Places, ...]] = {
            Kind.SOCKET: (sockets,),
            Kind.STREAM: (streams, self._requests),
            Kind.WAIT: (streams,),
            Kind.UPLOAD: (Places(room.uploads, Limit.UPLOADS, TooManyUploadsError),),
        }
        self._most_uploads = room.uploads
        self._uploads: dict[Held, None] = {}
        self._slow_until: dict[str, float] = {}
        self._uploads_lock = threading.Lock()

    def open(self, kind: Kind, access: Access) -> Held:
        """Admit something that lasts; close what is returned when it is over.

        Raises: ShareExceededError, or the kind's own error where no place is left.
        """
        return self._hold(take_all(self._places[kind], access.identity.user_id), access)

    @contextmanager
    def upload(self, access: Access) -> Iterator[Held]:
        """Admit an upload, whose reader tells `Held.came`; one that is slow may give way to it.

        An account holds one place while others hold some, so that a few of them could hold all of
        them for as long as they send slowly. Raises: as `open`.
        """
        owner = access.identity.user_id
        with self._uploads_lock:
            last = len(self._uploads) + 1 >= self._most_uploads
            if last and self._slow_until.get(owner, 0.0) > monotonic():
                raise TooManyUploadsError
            try:
                held = self.open(Kind.UPLOAD, access)
            except TooManyUploadsError:
                if not self._make_way(owner):
                    raise
                held = self.open(Kind.UPLOAD, access)
            self._uploads[held] = None
        try:
            with held:
                yield held
        finally:
            with self._uploads_lock:
                self._uploads.pop(held, None)

    def watch(self, access: Access) -> Held:
        """Watch an access that something which is open already needs beside its own."""
        return self._hold(Place(), access)

    @contextmanager
    def request(self, owner: str) -> Iterator[None]:
        """Hold a place for a request of an account that may take long. Raises: as `open`."""
        place = self._requests.take(owner)
        try:
            yield
        finally:
            place.close()

    def _make_way(self, owner: str) -> bool:
        """End the slowest upload for an account that has none. Returns: whether one was slow."""
        if any(each.access.identity.user_id == owner for each in self._uploads):
            return False
        slowest = min(self._uploads, key=lambda each: each.rate, default=None)
        if slowest is None or slowest.rate >= LEAST_RATE:
            return False
        del self._uploads[slowest]
        now = monotonic()
        self._slow_until = {one: at for one, at in self._slow_until.items() if at > now}
        self._slow_until[slowest.access.identity.user_id] = now + SLOW_SECONDS
        slowest.give_way(TooManyUploadsError())
        return True

    def _hold(self, place: Place, access: Access) -> Held:
        try:
            view = self._hub.watch("access", access, self._looks, True)
        except BaseException:
            place.close()
            raise
        return Held(access, view, self._hub, place)
